//! One address for the API and the websocket of a chat's server, as Mattermost and Feishu's fakes have it.

use axum::Router;
use tokio::net::{TcpListener, TcpStream};

pub struct OneAddress(TcpListener);

impl OneAddress {
    pub async fn bind() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    /// What begins like this becomes a `connection`; everything else reaches the API.
    pub async fn serve<F>(
        self,
        api: Router,
        websocket: &'static [u8],
        connection: impl Fn(TcpStream) -> F + Clone + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let behind = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = behind.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(behind, api).await.unwrap() });
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = self.0.accept().await {
                let connection = connection.clone();
                tokio::spawn(async move {
                    let mut begin = vec![0; websocket.len()];
                    while stream.peek(&mut begin).await.unwrap_or(begin.len()) < begin.len() {
                        tokio::task::yield_now().await;
                    }
                    if begin == websocket {
                        let connection = connection(stream);
                        return connection.await;
                    }
                    let mut behind = TcpStream::connect(address).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
                });
            }
        });
    }
}
