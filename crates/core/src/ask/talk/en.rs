//! English.

use super::Talk;
use crate::ask::Excuse;
use crate::ask::mistake::Missing;
use crate::ask::place::Kind;
use crate::deed::Refusal;
use crate::message::number;
use crate::notice::NoticeKind;

pub(super) struct English;

fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

impl Talk for English {
    fn next(&self) -> &'static str {
        "Next"
    }

    fn meant(&self) -> &'static str {
        "Did you mean"
    }

    fn type_this(&self) -> &'static str {
        "Type"
    }

    fn page(&self, page: u32, pages: u32) -> String {
        format!("Page {page} of {pages}")
    }

    fn and_more(&self) -> &'static str {
        "And more; ask for a service to see all of it."
    }

    fn not_understood(&self) -> &'static str {
        "Not understood"
    }

    fn too_long(&self, most: usize) -> String {
        format!("That is too long: at most {most} characters.")
    }

    fn too_many_words(&self, most: usize) -> String {
        format!("That is too long: at most {most} words.")
    }

    fn unknown_command(&self) -> &'static str {
        "There is no command {}."
    }

    fn unknown_option(&self, command: &str) -> String {
        format!("{command} has no option {{}}.")
    }

    fn no_value(&self, option: &str) -> String {
        format!("--{option} needs a value.")
    }

    fn twice(&self, option: &str) -> String {
        format!("The {option} is given twice.")
    }

    fn missing(&self, what: Missing) -> &'static str {
        match what {
            Missing::Incident => "Which incident? Its number, such as 1042.",
            Missing::What => "What? A service, the number of an incident, or a rule as rule:NAME.",
            Missing::Length => "For how long? Such as 30m, 2h or 1d; 7 days at most.",
            Missing::Service => "Which service? These options need one.",
        }
    }

    fn extra(&self, command: &str) -> String {
        format!("{command} does not take {{}}. A name with blanks goes in quotes.")
    }

    fn extra_name(&self) -> &'static str {
        "incidents takes no name; {} may be a service or a namespace:"
    }

    fn no_number(&self, option: &str) -> String {
        format!("--{option} needs a number such as 2, not {{}}.")
    }

    fn no_time(&self) -> &'static str {
        "{} is no length of time: write 30m, 2h or 1d."
    }

    fn wrong_length(&self) -> &'static str {
        "{} cannot be: a mute lasts from 1 second to 7 days."
    }

    fn no_incident(&self) -> &'static str {
        "{} is no incident: write its number, such as 1042."
    }

    fn no_name(&self) -> &'static str {
        "{} is no name: write web, shop/web, or web -n shop."
    }

    fn which(&self) -> &'static str {
        "Which one?"
    }

    fn several(&self, n: u64) -> String {
        format!("{{}} may be any of {}:", number(n))
    }

    fn not_found(&self) -> &'static str {
        "Not found"
    }

    fn unknown(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::Service => "There is no service {} here.",
            Kind::Incident => "There is no incident {} here.",
            Kind::Rule => "There is no rule {} here.",
            Kind::Thing => "There is no service, incident or rule {} here.",
            Kind::Mute => "Nothing is muted as {}.",
        }
    }

    fn no_answer(&self) -> &'static str {
        "No answer"
    }

    fn not_allowed(&self) -> &'static str {
        "Not allowed here"
    }

    fn not_done(&self) -> &'static str {
        "Not done"
    }

    fn excuse(&self, because: Excuse) -> &'static str {
        match because {
            Excuse::Slow => "The store takes too long at the moment. Try again in a minute.",
            Excuse::Unreadable => "The store cannot be read at the moment; the log says why. Try again in a minute.",
            Excuse::MayNotWrite => "Here you may look, but not acknowledge or mute.",
            Excuse::NotDone => "Nothing was changed: the store cannot be written at the moment. Try again.",
            Excuse::Silent => "podbell did not answer in time. It may or may not be done: have a look.",
            Excuse::NotRunning => "Nothing was changed: podbell is not running.",
        }
    }

    fn help_title(&self) -> &'static str {
        "What you can ask"
    }

    fn help(&self) -> &'static str {
        "Here and in a terminal the commands are the same."
    }

    fn about(&self, command: &str) -> &'static str {
        match command {
            "events" => "What a service shows, Warnings first; alone: everything that is open now.",
            "incidents" => "Open problems, the newest first; --all: those that are over, too.",
            "show" => "One incident: what, where, since when, and what people did.",
            "ack" => "Say that you have it: no reminders until it comes back.",
            "mute" => "Hold messages of a service, an incident or a rule for a while.",
            "unmute" => "End a mute before its time.",
            "mutes" => "What is muted, by whom, until when.",
            "why" => "Why an incident was told, or was not.",
            "untold" => "Warnings that no rule told.",
            "status" => "Whether podbell runs and reads everything.",
            _ => "What you can ask; help COMMAND says more.",
        }
    }

    fn events_of(&self, open: u64, rows: u64) -> String {
        match (open, rows) {
            (0, 0) => "No incident is open, and there are no such events.".to_owned(),
            (open, rows) => {
                let open = if open == 0 { "No incident is open".to_owned() } else { format!("{} open", number(open)) };
                format!("{open}, {}.", count(rows, "kind of event", "kinds of events"))
            }
        }
    }

    fn only_normal(&self, n: u64) -> String {
        format!("{} are Normal and not shown.", count(n, "kind", "kinds"))
    }

    fn unreadable_since(&self, at: &str) -> String {
        format!("Cannot be read since {at}: there may be more.")
    }

    fn read(&self, ago: &str) -> String {
        format!("Last change read {ago}.")
    }

    fn was_there(&self) -> &'static str {
        "was there before, not told"
    }

    fn open_title(&self, n: u64) -> String {
        count(n, "open incident", "open incidents")
    }

    fn open_now(&self, n: u64, services: &str) -> String {
        match n {
            0 => format!("Nothing is open in {services}."),
            n => format!("{} in {services}, the newest first.", self.open_title(n)),
        }
    }

    fn baseline(&self) -> &'static str {
        "There before podbell came, and not told:"
    }

    fn known(&self, n: u64) -> String {
        count(n, "incident", "incidents")
    }

    fn none_open(&self) -> &'static str {
        "There is none."
    }

    fn muted_until(&self, until: &str) -> String {
        format!("muted by {{}} until {until}")
    }

    fn has_it(&self) -> &'static str {
        "acknowledged by {}"
    }

    fn muted_title(&self, n: u64) -> String {
        count(n, "mute", "mutes")
    }

    fn nothing_muted(&self) -> &'static str {
        "Nothing is muted."
    }

    fn holds(&self, n: u64) -> String {
        match n {
            0 => "No open incident is held by it now.".to_owned(),
            n => format!("It holds {} now; what is still open at its end is told then.", self.open_title(n)),
        }
    }

    fn unmuted(&self) -> &'static str {
        "{} ended this; what is open is told again:"
    }

    fn acknowledged(&self) -> &'static str {
        "Acknowledged by {}. No reminders until it comes back."
    }

    fn had_it(&self, since: &str) -> String {
        format!("Before that it was acknowledged by {{}}, since {since}.")
    }

    fn refused(&self, because: Refusal) -> &'static str {
        match because {
            Refusal::Unknown => "There is nothing like that here.",
            Refusal::NotYours => "It reaches beyond the services of this channel, so it cannot be muted from here.",
            Refusal::Over => "It is over already.",
            Refusal::Length => "A mute lasts from 1 second to 7 days.",
            Refusal::NotMuted => "Nothing like that is muted.",
            Refusal::TooMany => "There are too many mutes. End some first.",
        }
    }

    fn did_mute(&self, lasts: &str) -> String {
        format!("muted for {lasts}")
    }

    fn did_unmute(&self) -> &'static str {
        "unmuted"
    }

    fn did_acknowledge(&self) -> &'static str {
        "acknowledged"
    }

    fn kind(&self, kind: NoticeKind) -> &'static str {
        match kind {
            NoticeKind::Opened => "opened",
            NoticeKind::Escalated => "worse",
            NoticeKind::Reminded => "still there",
            NoticeKind::Resolved => "resolved",
            NoticeKind::Reopened => "back again",
            NoticeKind::Closed => "closed",
            NoticeKind::Info => "info",
        }
    }

    fn delivery(&self, state: &str) -> &'static str {
        match state {
            "sent" => "sent",
            "folded" => "sent with a newer message",
            "dead" => "given up",
            _ => "waits",
        }
    }

    fn rule_decided(&self) -> &'static str {
        "Rule {} tells it."
    }

    fn told_so_often(&self, n: u64) -> String {
        match n {
            0 => "Nobody was told of it yet.".to_owned(),
            n => format!("{} of it arrived.", count(n, "message", "messages")),
        }
    }

    fn seen_elsewhere(&self) -> &'static str {
        "another service had shown the same"
    }

    fn gathers(&self, have: u64, need: u64) -> String {
        format!("{} of the {} that open it", number(have), number(need))
    }

    fn waits(&self) -> &'static str {
        "not there for long enough yet"
    }

    fn was_over(&self) -> &'static str {
        "was over when it was written"
    }

    fn opened(&self) -> &'static str {
        "opened it"
    }

    fn reopened(&self) -> &'static str {
        "brought it back"
    }

    fn counted(&self) -> &'static str {
        "counted, it was open"
    }

    fn changes_left_out(&self, n: u64) -> String {
        format!("{} between", count(n, "change", "changes"))
    }

    fn held_by_window(&self, until: &str) -> String {
        format!("held until {until} by {{}}")
    }

    fn held_by_mute(&self, until: &str) -> String {
        format!("muted until {until}")
    }

    fn held_by_incident(&self, id: u64) -> String {
        format!("held as long as #{id} is open, which explains it")
    }

    fn untold_title(&self, n: u64) -> String {
        count(n, "kind of untold Warnings", "kinds of untold Warnings")
    }

    fn untold(&self, n: u64, since: &str) -> String {
        match n {
            0 => format!("Every Warning of the last {since} that is remembered was told."),
            _ => format!("Warnings of the last {since} that no rule told, the newest first:"),
        }
    }

    fn untold_but_unusable(&self, since: &str) -> String {
        format!("Every Warning of the last {since} that podbell could read was told.")
    }

    fn unusable(&self, services: &str) -> String {
        format!("Lists of {services} have entries that podbell cannot read: nobody hears of what they say.")
    }

    fn ignored_by(&self) -> &'static str {
        "ignored by rule {}"
    }

    fn no_rule(&self) -> &'static str {
        "no rule is about it"
    }

    fn status_title(&self) -> &'static str {
        "podbell"
    }

    fn alive(&self) -> &'static str {
        "Runs."
    }

    fn not_alive(&self, age: &str) -> String {
        format!("Does not run: last sign of life {age} ago. What you see is as old as that.")
    }

    fn never_alive(&self) -> &'static str {
        "Has never run on this store."
    }

    fn watches(&self, services: &str, open: u64, mutes: u64) -> String {
        format!("{services}, {}, {}.", self.open_title(open), self.muted_title(mutes))
    }

    fn unreadable(&self, services: &str, since: &str) -> String {
        format!("{services} cannot be read, the first since {since}.")
    }

    fn deliveries(&self, waiting: u64, dead: u64) -> String {
        format!("{} waiting, {} given up.", count(waiting, "message", "messages"), number(dead))
    }

    fn takes_nothing(&self) -> &'static str {
        "{} takes no messages at the moment."
    }
}
