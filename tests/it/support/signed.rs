//! Requests of the legacy API, signed as other clients sign them.

use podbell::clock;
use podbell::components::qcloud::signature::{HttpMethod, SignatureMethod, sign, string_to_sign};
use secrecy::SecretString;

use super::emulated::{SECRET_ID, SECRET_KEY};

/// A request as a client other than podbell makes it.
pub struct Request {
    pub address: String,
    pub params: Vec<(String, String)>,
    pub method: HttpMethod,
    pub host: String,
    pub key: &'static str,
    pub sha: SignatureMethod,
}

impl Request {
    /// The events of a service, asked at an address.
    pub fn to(address: &str, nonce: u64) -> Self {
        let params = [
            ("Action", "DescribeServiceEvent"),
            ("Region", "ap-guangzhou"),
            ("Timestamp", &clock::now().seconds().to_string()),
            ("Nonce", &nonce.to_string()),
            ("SecretId", SECRET_ID),
            ("clusterId", "cls-1"),
            ("serviceName", "web"),
            ("namespace", "default"),
        ];
        Self {
            address: address.to_owned(),
            params: params.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            method: HttpMethod::Get,
            host: address.to_owned(),
            key: SECRET_KEY,
            sha: SignatureMethod::HmacSha1,
        }
    }

    /// Sets a parameter; `None` takes it away.
    #[must_use]
    pub fn with(mut self, name: &str, value: Option<&str>) -> Self {
        self.params.retain(|(key, _)| key != name);
        self.params.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        self
    }

    pub fn form(&self) -> String {
        let params = self.params.iter().map(|(name, value)| (&**name, &**value));
        let text = string_to_sign(self.method, &self.host, "/v2/index.php", params);
        let signature = sign(&text, &SecretString::from(self.key), self.sha);
        url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.params)
            .append_pair("Signature", &signature)
            .finish()
    }

    pub async fn send(&self) -> serde_json::Value {
        send(&self.address, self.method, self.form()).await
    }

    pub async fn code(&self) -> i64 {
        self.send().await["code"].as_i64().unwrap()
    }
}

/// Sends a form as it is.
pub async fn send(address: &str, method: HttpMethod, form: String) -> serde_json::Value {
    let http = podbell::http::client(&podbell::http::HttpOptions::default()).unwrap();
    let request = match method {
        HttpMethod::Get => http.get(format!("http://{address}/v2/index.php?{form}")),
        HttpMethod::Post => http.post(format!("http://{address}/v2/index.php")).body(form),
    };
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}
