//! Chromium without a window, driven by chromedriver over WebDriver (<https://www.w3.org/TR/webdriver2/>).

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use crate::process::{Daemon, Outcome, wait_for};

/// A browser with one window of its own, a fresh profile and no network that it would use by itself.
pub struct Browser {
    agent: Agent,
    session: String,
    _driver: Daemon,
    _home: TempDir,
}

impl Browser {
    /// Starts one.
    pub fn start() -> Outcome<Self> {
        let home = tempfile::tempdir().map_err(|e| e.to_string())?;
        let log = home.path().join("log");
        // In a PID namespace of its own: when the driver goes, every process of the browser does.
        let line = "unshare --pid --fork --kill-child=KILL --mount-proc chromedriver --port=0";
        let driver = Daemon::start(line, &[("HOME", home.path())], &log)?;
        let port = wait_for("chromedriver", || {
            let said = std::fs::read_to_string(&log).map_err(|e| e.to_string())?;
            let port = said.split_once("started successfully on port ").and_then(|(_, after)| after.split_once('.'));
            port.and_then(|(port, _)| port.parse::<u16>().ok()).ok_or(said)
        })?;
        let agent: Agent = Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let mut browser =
            Self { agent, session: format!("http://127.0.0.1:{port}/session"), _driver: driver, _home: home };
        let profile = browser._home.path().join("profile");
        let asked = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "binary": "/usr/bin/chromium", "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1280,1000",
                format!("--user-data-dir={}", profile.display()),
            ] },
        } } });
        let made = browser.post("", &asked)?;
        let id = made["sessionId"].as_str().ok_or_else(|| format!("no session: {made}"))?;
        browser.session = format!("{}/{id}", browser.session);
        // A machine with much else to do is no failure.
        browser.post("/timeouts", &json!({ "script": 300_000, "pageLoad": 300_000 }))?;
        Ok(browser)
    }

    /// Opens a file.
    pub fn open(&self, page: &Path) -> Outcome {
        self.post("/url", &json!({ "url": format!("file://{}", page.display()) })).map(drop)
    }

    /// What a function body gives in the page.
    pub fn run(&self, script: &str) -> Outcome<Value> {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The same of one that may wait: what its promise comes to.
    pub fn wait(&self, script: &str) -> Outcome<Value> {
        let script = format!(
            "const done = arguments[arguments.length - 1];\
             (async () => {{ {script} }})().then(done, (error) => done('failed: ' + error.stack));"
        );
        let value = self.post("/execute/async", &json!({ "script": script, "args": [] }))?;
        match value.as_str() {
            Some(failed) if failed.starts_with("failed: ") => Err(failed.to_owned()),
            _ => Ok(value),
        }
    }

    /// The text that a script gives.
    pub fn text(&self, script: &str) -> Outcome<String> {
        let value = self.run(script)?;
        value.as_str().map(str::to_owned).ok_or_else(|| format!("{script}: {value}"))
    }

    /// The number that a script gives.
    pub fn number(&self, script: &str) -> Outcome<f64> {
        let value = self.run(script)?;
        value.as_f64().ok_or_else(|| format!("{script}: {value}"))
    }

    /// Input as from a person: WebDriver's actions of one source.
    pub fn act(&self, source: &Value) -> Outcome {
        self.post("/actions", &json!({ "actions": [source] })).map(drop)
    }

    /// A key into the focused element.
    pub fn press(&self, key: char) -> Outcome {
        let keys = [("keyDown", key), ("keyUp", key)].map(|(kind, value)| json!({ "type": kind, "value": value }));
        self.act(&json!({ "type": "key", "id": "keyboard", "actions": keys }))
    }

    /// A command of the DevTools protocol.
    pub fn command(&self, command: &str, parameters: &Value) -> Outcome<Value> {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// What the console was told since the last time.
    pub fn console(&self) -> Outcome<Vec<String>> {
        let log = self.post("/se/log", &json!({ "type": "browser" }))?;
        let entries = log.as_array().ok_or_else(|| format!("no log: {log}"))?;
        Ok(entries.iter().map(Value::to_string).collect())
    }

    /// The page as a PDF of A4.
    pub fn print(&self) -> Outcome<Vec<u8>> {
        let asked = json!({ "page": { "width": 21.0, "height": 29.7 }, "background": true });
        let pdf = self.post("/print", &asked)?;
        let text = pdf.as_str().ok_or("no PDF")?;
        data_encoding::BASE64.decode(text.as_bytes()).map_err(|e| e.to_string())
    }

    fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        let place = format!("{}{path}", self.session);
        let answer = self.agent.post(&place).send_json(body).map_err(|e| format!("{place}: {e}"))?;
        let status = answer.status();
        let mut body = answer.into_body();
        let mut all = body.with_config().limit(64 << 20).read_json::<Value>().map_err(|e| format!("{place}: {e}"))?;
        let value = all["value"].take();
        if status.is_success() { Ok(value) } else { Err(format!("{path}: {}", value["message"])) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.agent.delete(&self.session).call();
    }
}
