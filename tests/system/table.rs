//! A table that does not answer until it is told to, and knows what it was asked: a listener before the real one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The operations of all requests, in the order in which they came.
type Operations = Arc<Mutex<Vec<String>>>;

/// What the header that names an operation has before its name.
const TARGET: &[u8] = b"DynamoDB_20120810.";

/// Takes connections at once and keeps them waiting.
pub(crate) struct Table {
    address: std::net::SocketAddr,
    asked: Arc<AtomicUsize>,
    operations: Operations,
    /// Where the real table is, once this one answers.
    behind: watch::Sender<Option<String>>,
    serving: JoinHandle<()>,
}

impl Table {
    pub(crate) async fn silent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (asked, behind) = (Arc::new(AtomicUsize::new(0)), watch::Sender::new(None));
        let operations = Operations::default();
        let serving = tokio::spawn(serve(listener, asked.clone(), operations.clone(), behind.subscribe()));
        Self {
            address,
            asked,
            operations,
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

    /// The operations that it was asked for since this was last called.
    pub(crate) fn operations(&self) -> Vec<String> {
        std::mem::take(&mut self.operations.lock().expect("nobody panics with it"))
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

async fn serve(
    listener: TcpListener,
    asked: Arc<AtomicUsize>,
    operations: Operations,
    behind: watch::Receiver<Option<String>>,
) {
    while let Ok((client, _)) = listener.accept().await {
        asked.fetch_add(1, Ordering::SeqCst);
        let (operations, mut behind) = (operations.clone(), behind.clone());
        tokio::spawn(async move {
            let address = match behind.wait_for(Option::is_some).await {
                Ok(address) => address.clone().unwrap_or_default(),
                Err(_) => return,
            };
            if let Ok(table) = TcpStream::connect(address).await {
                pass(client, table, &operations).await;
            }
        });
    }
}

/// Passes everything on, both ways, until either side leaves, which a killed function does at any time.
async fn pass(client: TcpStream, table: TcpStream, operations: &Operations) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_table, mut to_table) = table.into_split();
    let back = tokio::spawn(async move { tokio::io::copy(&mut from_table, &mut to_client).await });
    let (mut unnoted, mut read) = (Vec::new(), Vec::new());
    while let Ok(1..) = from_client.read_buf(&mut read).await {
        unnoted.extend_from_slice(&read);
        note(&mut unnoted, operations);
        if to_table.write_all(&read).await.is_err() {
            break;
        }
        read.clear();
    }
    drop(to_table);
    back.abort();
}

/// Notes the operations in what was read, and keeps of it only what may be the beginning of another one's name.
fn note(read: &mut Vec<u8>, operations: &Operations) {
    while let Some(begin) = read.windows(TARGET.len()).position(|window| window == TARGET) {
        let name = begin + TARGET.len();
        let Some(length) = read[name..].iter().position(|byte| !byte.is_ascii_alphanumeric()) else {
            read.drain(..begin);
            return;
        };
        let operation = String::from_utf8_lossy(&read[name..name + length]).into_owned();
        operations.lock().expect("nobody panics with it").push(operation);
        read.drain(..name + length);
    }
    let kept = read.len().min(TARGET.len() - 1);
    read.drain(..read.len() - kept);
}
