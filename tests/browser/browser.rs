//! A real headless Chromium, spoken to in WebDriver's own words: a dozen commands do not need a library.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a page may take for anything: far longer than it does on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a page is looked at that says nothing by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// How often a driver is started that ends at once: more often than a port that is taken comes twice.
const STARTS: u32 = 5;

/// The rules of accessibility, as axe-core has them.
const AXE: &str = include_str!("axe-core/axe.min.js");

/// A browser with one page; closed when dropped.
pub(crate) struct Browser {
    driver: Child,
    /// Held, for a driver that cannot write ends.
    _output: BufReader<ChildStdout>,
    http: reqwest::Client,
    session: String,
    /// Its profile, gone with it.
    profile: TempDir,
}

impl Browser {
    /// Starts one with an empty profile, 1440 pixels wide.
    pub(crate) async fn open() -> Self {
        let (driver, output, port) = start();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(PATIENCE * 2)
            .build()
            .expect("an HTTP client");
        let mut browser = Self {
            driver,
            _output: output,
            http,
            session: format!("http://127.0.0.1:{port}/session"),
            profile: TempDir::new().expect("a temporary directory"),
        };
        let profile = format!("--user-data-dir={}", browser.profile.path().display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--window-size=1440,1000",
            "--lang=en-GB",
            &profile,
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let url = browser.session.clone();
        let opened = browser.send(browser.http.post(url).json(&wanted)).await;
        let opened = opened.unwrap_or_else(|error| missing("chromium", &error));
        let id = opened["sessionId"].as_str().expect("a session has an id");
        browser.session = format!("{}/{id}", browser.session);
        browser.look_at(1440, 1000, false).await;
        browser
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, String> {
        let response = request.send().await.map_err(|error| error.to_string())?;
        let succeeded = response.status().is_success();
        let mut answer: Value = response.json().await.map_err(|error| error.to_string())?;
        let value = answer["value"].take();
        match succeeded {
            true => Ok(value),
            false => Err(value["message"].as_str().unwrap_or("no message").to_owned()),
        }
    }

    async fn post(&self, command: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}/{command}", self.session)).json(&body);
        self.send(request)
            .await
            .unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// What a script in the page returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.post("execute/sync", json!({"script": script, "args": []})).await
    }

    async fn command(&self, name: &str, parameters: Value) {
        self.post("goog/cdp/execute", json!({"cmd": name, "params": parameters}))
            .await;
    }

    /// Sets the size and the colours that the page is asked for; nothing moves by itself.
    pub(crate) async fn look_at(&self, width: u32, height: u32, dark: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]});
        self.command("Emulation.setEmulatedMedia", features).await;
    }

    /// Runs a script before every page's own.
    pub(crate) async fn before_pages(&self, script: &str) {
        self.command("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }))
            .await;
    }

    /// Asks the page for movement, or for none.
    pub(crate) async fn prefer_motion(&self, motion: bool) {
        let value = if motion { "no-preference" } else { "reduce" };
        let features = json!({"features": [{"name": "prefers-reduced-motion", "value": value}]});
        self.command("Emulation.setEmulatedMedia", features).await;
    }

    /// Shows the page as it is on paper, so many pixels wide.
    pub(crate) async fn on_paper(&self, width: u32) {
        self.look_at(width, 1000, false).await;
        self.command("Emulation.setEmulatedMedia", json!({"media": "print"}))
            .await;
    }

    /// Takes the page to a time zone.
    pub(crate) async fn live_in(&self, zone: &str) {
        self.command("Emulation.setTimezoneOverride", json!({ "timezoneId": zone }))
            .await;
    }

    /// Tells the page that its tab is hidden, or seen again.
    pub(crate) async fn hide(&self, hidden: bool) {
        let told = format!(
            "Object.defineProperty(document, 'hidden', {{value: {hidden}, configurable: true}}); \
             document.dispatchEvent(new Event('visibilitychange'))"
        );
        self.run(&told).await;
    }

    /// Opens an address and waits until the view says that it shows what it is to show.
    pub(crate) async fn go(&self, url: &str) {
        self.visit(url).await;
        self.ready().await;
    }

    /// Opens an address, whatever comes of it.
    pub(crate) async fn visit(&self, url: &str) {
        self.post("url", json!({"url": "about:blank"})).await;
        self.post("url", json!({"url": url})).await;
    }

    pub(crate) async fn back(&self) {
        self.post("back", json!({})).await;
    }

    pub(crate) async fn ready(&self) {
        self.until(
            "the view to be ready",
            "return document.documentElement.dataset.ready === 'true'",
        )
        .await;
    }

    /// Waits until a script returns something else than `null` and `false`; what that is.
    pub(crate) async fn until(&self, what: &str, script: &str) -> Value {
        let begun = Instant::now();
        let mut ticks = tokio::time::interval(LOOK_AGAIN);
        loop {
            let seen = self.run(script).await;
            if !matches!(seen, Value::Null | Value::Bool(false)) {
                return seen;
            }
            if PATIENCE < begun.elapsed() {
                let page = self
                    .run("return location.href + '\\n' + document.body.innerText.slice(0, 3000)")
                    .await;
                let complaints = self.complaints().await.join("\n");
                panic!(
                    "waited {PATIENCE:?} for {what}\n{}\n{complaints}",
                    page.as_str().unwrap_or_default()
                );
            }
            ticks.tick().await;
        }
    }

    /// Waits until the page shows a text.
    pub(crate) async fn sees(&self, text: &str) {
        let script = format!(
            "return document.body.innerText.replace(/\\u00a0/g, ' ').includes({})",
            Value::from(text)
        );
        self.until(&format!("{text:?} to be seen"), &script).await;
    }

    /// Clicks the element that a selector finds, with a real mouse.
    pub(crate) async fn click(&self, selector: &str) {
        self.until(
            &format!("{selector} to be there"),
            &format!("return !!document.querySelector({})", Value::from(selector)),
        )
        .await;
        let element = self
            .post("element", json!({"using": "css selector", "value": selector}))
            .await;
        let id = element
            .as_object()
            .and_then(|element| element.values().next()?.as_str())
            .expect("an element has an id");
        self.post(&format!("element/{id}/click"), json!({})).await;
    }

    /// Presses keys one after the other, wherever the focus is.
    pub(crate) async fn press(&self, keys: &[&str]) {
        let strokes = keys.iter().flat_map(|key| {
            [
                json!({"type": "keyDown", "value": key}),
                json!({"type": "keyUp", "value": key}),
            ]
        });
        let actions = json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes.collect::<Vec<_>>()}]});
        self.post("actions", actions).await;
    }

    /// What axe-core finds wrong with the page, by rule, with the elements at fault.
    pub(crate) async fn violations(&self) -> Value {
        self.run(AXE).await;
        self.run(
            "return axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations.map(({id, help, nodes}) => \
             ({id, help, nodes: nodes.slice(0, 5).map((node) => node.target.join(' ') + ': ' + (node.any[0] ?? node.all[0] ?? node.none[0])?.message)})))",
        )
        .await
    }

    /// What the page reported to the console: errors, and what its policy refused.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.post("se/log", json!({"type": "browser"})).await;
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .filter(|entry| entry["level"] == "SEVERE")
            .filter_map(|entry| entry["message"].as_str().map(str::to_owned))
            .collect()
    }

    /// Those that have a passage in them.
    pub(crate) async fn complaints_of(&self, passage: &str) -> Vec<String> {
        let mut complaints = self.complaints().await;
        complaints.retain(|complaint| complaint.contains(passage));
        complaints
    }

    /// Keeps a picture of the whole page among the build's artefacts; where it is.
    pub(crate) async fn picture(&self, name: &str, width: u32, dark: bool) -> PathBuf {
        self.look_at(width, 900, dark).await;
        self.settled().await;
        let height = self
            .run("return Math.min(4000, document.documentElement.scrollHeight)")
            .await;
        let height = u32::try_from(height.as_u64().unwrap_or(900)).unwrap_or(900).max(600);
        self.look_at(width, height, dark).await;
        self.settled().await;
        let request = self.http.get(format!("{}/screenshot", self.session));
        let picture = self.send(request).await.expect("a picture");
        let folder = system_tests::root().join("target/screenshots");
        std::fs::create_dir_all(&folder).expect("a folder for pictures");
        let colours = if dark { "dark" } else { "light" };
        let path = folder.join(format!("{name}-{width}-{colours}.png"));
        std::fs::write(
            &path,
            BASE64_STANDARD
                .decode(picture.as_str().expect("a text"))
                .expect("base64"),
        )
        .expect("a file");
        path
    }

    /// Waits until the fonts are there and two frames have been drawn.
    pub(crate) async fn settled(&self) {
        self.run("return document.fonts.ready.then(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true)))))")
            .await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A browser that outlived its test would take the processors from the others. The group is the driver's own, with
        // its browser in it; one that has ended already is no error.
        let group = format!("-{}", self.driver.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.driver.wait();
    }
}

/// Starts a driver; itself, what it goes on to print, and its port. It takes one that is free on IPv6, and gives up when the
/// same one is taken on IPv4, be it by a connection of before: then another is started.
fn start() -> (Child, BufReader<ChildStdout>, u16) {
    let mut printed = String::new();
    for _ in 0..STARTS {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| missing("chromedriver", &error.to_string()));
        let mut output = BufReader::new(driver.stdout.take().expect("its output is piped"));
        printed.clear();
        while output.read_line(&mut printed).is_ok_and(|read| 0 < read) {
            let line = printed.trim_end().lines().next_back().unwrap_or_default();
            let port = line.rsplit_once("successfully on port ").map(|(_, port)| port);
            if let Some(port) = port.and_then(|port| port.trim_end_matches('.').parse().ok()) {
                return (driver, output, port);
            }
        }
        let _ = driver.wait();
    }
    missing("chromedriver", &format!("it does not say its port, but:\n{printed}"))
}

fn missing(program: &str, error: &str) -> ! {
    panic!(
        "{program} could not be started: {error}\nhint: the browser tests need Chromium and its driver: apt-get install chromium chromium-driver"
    )
}

#[test]
fn axe_is_the_one_that_it_says() {
    use sha2::{Digest, Sha256};

    // axe-core 4.14.1 as npm has it, `package/axe.min.js`: https://registry.npmjs.org/axe-core/-/axe-core-4.14.1.tgz
    let hash = Sha256::digest(AXE)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    assert_eq!(hash, "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c");
    assert!(AXE.starts_with("/*! axe v4.14.1\n"));
}
