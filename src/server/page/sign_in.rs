//! The sign-in form, and messages without a view of their own. Pure.

use maud::{Markup, html};

use super::html::Context;

/// What went wrong with the last attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SignInError {
    Token,
    TooMany,
}

pub(super) fn view(cx: &Context<'_>, next: &str, wrong: Option<SignInError>) -> Markup {
    let words = cx.words;
    html! {
        form.sign-in method="post" action=(cx.to("/sign-in")) {
            h1 { (words.sign_in()) }
            @match wrong {
                Some(SignInError::Token) => { p.bad role="alert" { (words.wrong_token()) } }
                Some(SignInError::TooMany) => { p.bad role="alert" { (words.too_many()) } }
                None => {}
            }
            label for="token" { (words.token()) }
            input #token type="password" name="api_token" required autocomplete="current-password" autofocus aria-describedby="token-where";
            p.small #token-where { (words.token_where()) }
            input type="hidden" name="next" value=(next);
            button { (words.sign_in()) }
        }
    }
}

/// A message with a title, a text and a link back.
pub(super) fn message(cx: &Context<'_>, title: &str, text: &str) -> Markup {
    html! {
        h1 { (title) }
        p.pre { (text) }
        p { a href=(cx.to("/")) { (cx.words.back()) } }
    }
}
