//! A proxy between a replica and its database: a network that can be cut, in one direction or in both. What is sent
//! meanwhile is held back, as a network does whose peers send again; then it arrives late, or its connection ends.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Nothing reaches the server.
    pub to_server: bool,
    /// Nothing of the server arrives.
    pub from_server: bool,
    /// Counts the ends of all connections.
    reset: u32,
}

/// A running proxy. It ends when it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    cut: watch::Sender<Cut>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// In front of a server on this machine.
    pub async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, cuts) = watch::channel(Cut::default());
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let cuts = cuts.clone();
                tokio::spawn(async move {
                    let mut opened = cuts.clone();
                    // A network that is cut answers nobody who wants to connect, either.
                    let _ = opened.wait_for(|cut| !cut.to_server && !cut.from_server).await;
                    let Ok(far) = TcpStream::connect(("127.0.0.1", server)).await else { return };
                    join(near, far, cuts).await;
                });
            }
        });
        Self { address, cut, task }
    }

    /// Cuts the network in these directions.
    pub fn cut(&self, to_server: bool, from_server: bool) {
        self.cut.send_modify(|cut| (cut.to_server, cut.from_server) = (to_server, from_server));
    }

    /// Mends it. What was held back arrives, unless the connections end here.
    pub fn mend(&self, keeps_connections: bool) {
        self.cut.send_modify(|cut| {
            (cut.to_server, cut.from_server) = (false, false);
            cut.reset += u32::from(!keeps_connections);
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn join(near: TcpStream, far: TcpStream, cuts: watch::Receiver<Cut>) {
    let reset = cuts.borrow().reset;
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    let mut ended = cuts.clone();
    tokio::select! {
        // Dropping both ends resets the connection.
        _ = ended.wait_for(|cut| cut.reset != reset) => {}
        () = pump(from_near, to_far, cuts.clone(), |cut| cut.to_server) => {}
        () = pump(from_far, to_near, cuts, |cut| cut.from_server) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut cuts: watch::Receiver<Cut>,
    is_cut: fn(&Cut) -> bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read) = from.read(&mut buffer).await
        && read > 0
    {
        if cuts.wait_for(|cut| !is_cut(cut)).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    // The end of a connection is held back, too.
    let _ = cuts.wait_for(|cut| !is_cut(cut)).await;
}
