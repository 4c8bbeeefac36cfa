//! A table that does not answer until it is told to: a listener before the real one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Takes connections at once and keeps them waiting.
pub(crate) struct Table {
    address: std::net::SocketAddr,
    asked: Arc<AtomicUsize>,
    /// Where the real table is, once this one answers.
    behind: watch::Sender<Option<String>>,
    serving: JoinHandle<()>,
}

impl Table {
    pub(crate) async fn silent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (asked, behind) = (Arc::new(AtomicUsize::new(0)), watch::Sender::new(None));
        let serving = tokio::spawn(serve(listener, asked.clone(), behind.subscribe()));
        Self {
            address,
            asked,
            behind,
            serving,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections so far.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// From now on the real one answers; a connection that waits already hears it too.
    pub(crate) fn answer(&self, url: &str) {
        let address = url.strip_prefix("http://").expect("an HTTP URL");
        self.behind.send_replace(Some(address.to_owned()));
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, asked: Arc<AtomicUsize>, behind: watch::Receiver<Option<String>>) {
    while let Ok((mut client, _)) = listener.accept().await {
        asked.fetch_add(1, Ordering::SeqCst);
        let mut behind = behind.clone();
        tokio::spawn(async move {
            let address = match behind.wait_for(Option::is_some).await {
                Ok(address) => address.clone().unwrap_or_default(),
                Err(_) => return,
            };
            if let Ok(mut table) = TcpStream::connect(address).await {
                // Either side may leave at any time: a killed function does.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut table).await;
            }
        });
    }
}
