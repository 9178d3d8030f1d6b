//! The server's side of the API, as far as its users share it: what a request asks, whether somebody who may ask
//! signed it, and the shapes of answers. The emulator shows a recording through it, the gateway the store; it knows
//! neither.

mod answer;
mod auth;

use axum::extract::Request;
use axum::http::{Method, StatusCode, header};

pub(crate) use self::answer::{ClusterRow, Data, Query, Refusal, View, body};
pub(crate) use self::auth::{Key, Keys};
use super::signature::HttpMethod;

/// Where the API answers.
pub(crate) const PATH: &str = "/v2/index.php";
/// Longer forms than this are refused.
pub(crate) const MAX_FORM: usize = 64 * 1024;

/// A request, decoded.
pub(crate) struct ApiRequest {
    method: HttpMethod,
    host: String,
    params: Vec<(String, String)>,
}

impl ApiRequest {
    /// Reads a request up to its end.
    ///
    /// # Errors
    /// The status, if the request is not one of this API.
    pub(crate) async fn read(request: Request) -> Result<Self, StatusCode> {
        let method = match *request.method() {
            Method::GET => HttpMethod::Get,
            Method::POST => HttpMethod::Post,
            _ => return Err(StatusCode::METHOD_NOT_ALLOWED),
        };
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.unwrap_or_default().to_owned();
        let form = match method {
            HttpMethod::Get => request.uri().query().unwrap_or_default().as_bytes().to_vec(),
            HttpMethod::Post => match axum::body::to_bytes(request.into_body(), MAX_FORM).await {
                Ok(body) => body.to_vec(),
                Err(_) => return Err(StatusCode::PAYLOAD_TOO_LARGE),
            },
        };
        // Both `+` and `%20` are blanks.
        let params = url::form_urlencoded::parse(&form).into_owned().collect();
        Ok(Self { method, host, params })
    }

    /// The value of a parameter that is there and not empty.
    fn get(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// That it is missing, in the API's words.
    pub(crate) fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::new(4000, format!("missing parameter {name}")))
    }

    fn number(&self, name: &str) -> Result<u64, Refusal> {
        self.need(name)?.parse().map_err(|_| Refusal::new(4000, format!("parameter {name} is not a number")))
    }
}
