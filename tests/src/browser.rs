//! A real browser, headless, driven over its own debugging protocol: JSON over a WebSocket, which these tests speak anyway.
//!
//! `cargo xtask test` names Chromium in `BOURSE_CHROMIUM`; where that is unset there is none, and a test says that it checked
//! nothing.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long a page may take to show something, on a machine that builds meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page.
pub struct Browser {
    child: Child,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: String,
    next: u64,
    complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one; none where there is no browser.
    pub async fn start() -> Option<Self> {
        let Some(program) = std::env::var_os("BOURSE_CHROMIUM") else {
            println!("NOT CHECKED: BOURSE_CHROMIUM is unset; `cargo xtask test` sets it");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let child = Command::new(program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--no-first-run",
                "--hide-scrollbars",
                "--remote-debugging-port=0",
                "--lang=en",
            ])
            .args(["--disable-background-networking", "--disable-component-update"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = debugger(profile.path()).await;
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let mut browser = Self {
            child,
            socket,
            session: String::new(),
            next: 0,
            complaints: Vec::new(),
            _profile: profile,
        };
        browser.open_page().await;
        Some(browser)
    }

    async fn open_page(&mut self) {
        let page = self
            .call("Target.createTarget", json!({ "url": "about:blank" }))
            .await;
        let attach = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = self.call("Target.attachToTarget", attach).await;
        self.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({})).await;
        }
    }

    /// Has the browser do something, and waits for its answer.
    pub async fn call(&mut self, method: &str, params: Json) -> Json {
        self.next += 1;
        let id = self.next;
        let mut question = json!({ "id": id, "method": method, "params": params });
        if !self.session.is_empty() {
            question["sessionId"] = self.session.clone().into();
        }
        self.socket
            .send(Message::text(question.to_string()))
            .await
            .unwrap();
        loop {
            let said = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            let Ok(Some(Ok(said))) = said else {
                panic!("the browser did not answer {method}: {said:?}");
            };
            let Message::Text(text) = said else { continue };
            let said: Json = serde_json::from_str(&text).unwrap();
            if said["id"] == id {
                assert!(said["error"].is_null(), "{method}: {}", said["error"]);
                return said["result"].clone();
            }
            self.note(&said);
        }
    }

    /// Keeps what a page should not say.
    fn note(&mut self, event: &Json) {
        let params = &event["params"];
        let complaint = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => params["exceptionDetails"].to_string(),
            Some("Runtime.consoleAPICalled")
                if ["error", "warning", "assert"]
                    .iter()
                    .any(|kind| params["type"] == *kind) =>
            {
                params["args"].to_string()
            }
            Some("Log.entryAdded") if params["entry"]["level"] != "verbose" => params["entry"].to_string(),
            _ => return,
        };
        self.complaints.push(complaint);
    }

    /// What pages complained of since the last look: errors in scripts, refused loads, breaches of the page's own policy.
    pub async fn complaints(&mut self) -> Vec<String> {
        // What came before its answer has arrived.
        self.eval("1").await;
        std::mem::take(&mut self.complaints)
    }

    pub async fn go(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url })).await;
    }

    /// The value of an expression, once it is there.
    pub async fn eval(&mut self, expression: &str) -> Json {
        let ask = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", ask).await;
        let failed = &answer["exceptionDetails"];
        assert!(failed.is_null(), "{expression}: {failed}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression holds.
    #[track_caller]
    pub fn until(&mut self, expression: &str) -> impl Future<Output = Json> {
        let caller = std::panic::Location::caller();
        async move {
            let started = Instant::now();
            loop {
                let found = self.eval(expression).await;
                if !matches!(&found, Json::Null | Json::Bool(false)) && found != "" {
                    return found;
                }
                if started.elapsed() > PATIENCE {
                    let page = self.eval("document.body.innerText").await;
                    let (page, complaints) = (page.as_str().unwrap(), self.complaints().await);
                    panic!("{caller}: `{expression}` never held on:\n{page}\n{complaints:#?}");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Clicks what a selector finds first, where it is: something over it would get the click.
    pub async fn click(&mut self, selector: &str) {
        let found = format!("document.querySelector({})", json!(selector));
        self.until(&format!("!!{found}")).await;
        let place = format!(
            "(() => {{ const e = {found}; e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect();
               return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        );
        let place = self.eval(&place).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Presses a key that writes nothing: `Tab`, `Enter`.
    pub async fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            other => panic!("no key is known as {other}"),
        };
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event =
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Writes into what has the focus.
    pub async fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// Puts a file into a field for files.
    pub async fn choose_file(&mut self, selector: &str, file: &Path) {
        let document = self.call("DOM.getDocument", json!({})).await;
        let find = json!({ "nodeId": document["root"]["nodeId"], "selector": selector });
        let found = self.call("DOM.querySelector", find).await;
        let choose = json!({ "nodeId": found["nodeId"], "files": [file] });
        self.call("DOM.setFileInputFiles", choose).await;
    }

    /// From now on the screen is so wide, and its owner likes it light or dark.
    pub async fn screen(&mut self, width: u32, dark: bool) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = json!({ "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } });
        self.call("Emulation.setEmulatedMedia", json!({ "features": [scheme] }))
            .await;
    }

    /// A picture of the whole page.
    pub async fn picture(&mut self, file: &Path) {
        use base64::Engine as _;
        let metrics = self.call("Page.getLayoutMetrics", json!({})).await;
        let size = &metrics["cssContentSize"];
        let height = size["height"].as_f64().unwrap().min(6000.0);
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1 });
        let how = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.call("Page.captureScreenshot", how).await;
        let data = picture["data"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
}

/// Where the browser says that it listens.
async fn debugger(profile: &Path) -> String {
    let file = profile.join("DevToolsActivePort");
    let started = Instant::now();
    loop {
        if let Ok(text) = std::fs::read_to_string(&file)
            && let Some((port, path)) = text.split_once('\n')
            && !path.is_empty()
        {
            return format!("ws://127.0.0.1:{port}{}", path.trim());
        }
        assert!(started.elapsed() < PATIENCE, "the browser never listened");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
