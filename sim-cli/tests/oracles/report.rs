//! The report's page in a real browser: it opens from a file without a word on the console, its timeline is drawn, zooms and tells
//! what is under the pointer, it has a dark side, loses nothing on paper, and ten megabytes of events do not slow it down.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sim_core::time::{Duration, Instant};
use sim_scenarios::report::html::{self, Asked};
use sim_scenarios::report::model::{Seconds, Transition};
use sim_scenarios::{NoSecrets, Scenario, Simulation};

use crate::browser::Browser;
use crate::process::{Outcome, asked_for, command, expect, run};

const TEXT: &str = include_str!("../../../scenarios/active_passive.ron");

fn judge(test: &str, body: impl FnOnce() -> Outcome) {
    if asked_for(test)
        && let Err(why) = body()
    {
        panic!("{why}");
    }
}

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name)
}

/// The page of a scenario of the library, as the program writes it.
fn page_of(name: &str, folder: &Path) -> Outcome<PathBuf> {
    let page = folder.join("page.html");
    let program = assert_cmd::cargo::cargo_bin("vpnsim");
    let mut vpnsim = std::process::Command::new(program);
    run(vpnsim.args(["run", "--quiet", "--html"]).arg(&page).arg(scenario(name)))?;
    Ok(page)
}

fn truth(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// The two ends of what the timeline shows, in seconds.
fn range(browser: &Browser) -> Outcome<[f64; 2]> {
    let text = browser.text("return document.getElementById('range').textContent")?;
    let ends: Vec<f64> = text.split(" s").filter_map(|part| part.trim_start_matches(" to ").parse().ok()).collect();
    <[f64; 2]>::try_from(ends).map_err(|_| text)
}

/// An element, whose middle is a place for actions.
fn origin(browser: &Browser, id: &str) -> Outcome<Value> {
    browser.run(&format!("return document.getElementById('{id}')"))
}

fn wheel(browser: &Browser, delta: i32) -> Outcome {
    let canvas = origin(browser, "canvas")?;
    let turn =
        json!({ "type": "scroll", "origin": canvas, "x": 0, "y": 0, "deltaX": 0, "deltaY": delta, "duration": 0 });
    browser.act(&json!({ "type": "wheel", "id": "wheel", "actions": [turn] }))
}

fn click(browser: &Browser, what: &str) -> Outcome {
    browser.run(&format!("document.querySelector('{what}').click()")).map(drop)
}

/// Two frames, after which what was asked to be drawn is.
const FRAMES: &str = "const frame = () => new Promise(requestAnimationFrame); await frame(); await frame();";

#[test]
fn the_page_shows_the_run() {
    judge("report::the_page_shows_the_run", || {
        let home = tempfile::tempdir().map_err(|e| e.to_string())?;
        let page = page_of("active_passive.ron", home.path())?;
        let browser = Browser::start()?;
        browser.open(&page)?;
        let seen = browser.text("return document.body.innerText")?;
        // The answer as reports/active_passive.md has it, before all else.
        let answer = "cut (blackhole of path-a) at 306.437 s: app was dark for 27.560 s forward";
        let (at, other) = (seen.find(answer), seen.find("Zoom in"));
        truth(at.is_some() && at < other, || format!("the answer is not first in\n{seen}"))?;
        expect(&seen, &["all held", "How to reproduce", "vpnsim run"])?;

        browser.run("document.getElementById('scroll').scrollIntoView({ block: 'center' })")?;
        browser.wait(FRAMES)?;
        drawn(&browser)?;
        zooms(&browser)?;
        tells(&browser)?;
        has_a_dark_side(&browser)?;
        let loaded = browser.number("return performance.getEntriesByType('resource').length")?;
        truth(loaded == 0.0, || format!("{loaded} things were loaded"))?;
        let mut console = browser.console()?;
        // It is this test that reads pixels back, and is told that it could be faster.
        console.retain(|entry| !entry.contains("getImageData"));
        truth(console.is_empty(), || format!("the console says {console:#?}"))
    });
}

/// Pixels of the colour of lanes, of lost probes' stripes, and of more than one lane.
fn drawn(browser: &Browser) -> Outcome {
    let counted = browser.run(
        "const canvas = document.getElementById('canvas');
         const { data, width, height } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
         const rgb = (shade) => getComputedStyle(document.querySelector(`[data-shade='${shade}']`)).color.match(/\\d+/g).map(Number);
         const count = ([r, g, b]) => {
           let n = 0;
           for (let i = 0; i < data.length; i += 4) n += data[i] === r && data[i + 1] === g && data[i + 2] === b;
           return n / (width * height);
         };
         const colours = new Set();
         for (let i = 0; i < data.length; i += 4) colours.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
         return { good: count(rgb(0)), bad: count(rgb(9)), colours: colours.size };",
    )?;
    let share = |name: &str| counted[name].as_f64().unwrap_or_default();
    // Most of most lanes is green; of 900 s, 28 s in three of eighteen lanes are lost.
    truth(share("good") > 0.1 && share("bad") > 0.000_3 && share("colours") > 20.0, || format!("drawn: {counted}"))
}

fn zooms(browser: &Browser) -> Outcome {
    let whole = range(browser)?;
    truth(whole == [0.0, 900.0], || format!("it begins with {whole:?}"))?;
    wheel(browser, -240)?;
    let closer = range(browser)?;
    truth(closer[0] > 0.0 && closer[1] < 900.0, || format!("the wheel leads to {closer:?}"))?;
    click(browser, "[data-do=in]")?;
    let half = range(browser)?;
    let ratio = (half[1] - half[0]) / (closer[1] - closer[0]);
    truth((ratio - 0.5).abs() < 0.001, || format!("a button leads from {closer:?} to {half:?}"))?;
    click(browser, "[data-do=right]")?;
    let later = range(browser)?;
    truth(later[0] > half[0] && (later[1] - later[0] - half[1] + half[0]).abs() < 0.01, || {
        format!("moved to {later:?}")
    })?;
    browser.run("document.getElementById('canvas').focus()")?;
    browser.press('0')?;
    truth(range(browser)? == whole, || "the key 0 does not show the whole run".into())?;
    browser.press('+')?;
    browser.press('-')?;
    truth(range(browser)? == whole, || "+ and - are not each other's opposite".into())?;

    // What is marked by dragging, from a third to two thirds of the lanes' width, is shown.
    let canvas = origin(browser, "canvas")?;
    let to = |x: i32| json!({ "type": "pointerMove", "origin": canvas, "x": x, "y": 40, "duration": 0 });
    let drag =
        [to(0), json!({ "type": "pointerDown", "button": 0 }), to(200), json!({ "type": "pointerUp", "button": 0 })];
    browser
        .act(&json!({ "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" }, "actions": drag }))?;
    let marked = range(browser)?;
    truth(marked[1] - marked[0] < 300.0 && marked[0] > 300.0 && marked[1] < 700.0, || {
        format!("dragging shows {marked:?}")
    })?;
    browser.press('0')?;
    // A fault's own button shows its outage: 306.437 s to 334.000 s.
    click(browser, "#jumps button")?;
    let fault = range(browser)?;
    truth(fault[0] < 306.437 && fault[0] > 290.0 && fault[1] > 334.0 && fault[1] < 345.0, || {
        format!("a jump to {fault:?}")
    })?;
    browser.press('0')
}

/// The pointer over a lane says each state of its session, with the instants of the report.
fn tells(browser: &Browser) -> Outcome {
    let canvas = origin(browser, "canvas")?;
    let hover = json!({ "type": "pointerMove", "origin": canvas, "x": 0, "y": 0, "duration": 0 });
    browser.act(
        &json!({ "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" }, "actions": [hover] }),
    )?;
    let shown = browser.run(
        "return document.getElementById('tip').hidden === false && document.getElementById('tip').textContent !== ''",
    )?;
    truth(shown == json!(true), || "nothing is said under the pointer".into())?;
    let said = browser.run(
        "const canvas = document.getElementById('canvas'), tip = document.getElementById('tip');
         const { left, top, width, height } = canvas.getBoundingClientRect();
         const all = new Set();
         // Lanes of 22 pixels, below an axis of 42 and to the right of their names.
         for (let y = 53; y < height; y += 22) {
           for (let x = 240; x < width; x += 5) {
             canvas.dispatchEvent(new PointerEvent('pointermove', { clientX: left + x, clientY: top + y }));
             if (!tip.hidden) all.add(tip.textContent);
           }
         }
         return [...all].join('\\n\\n');",
    )?;
    let said = said.as_str().unwrap_or_default();
    // As in reports/active_passive.md.
    expect(
        said,
        &[
            "bgp vpn.a@cgw: established\n0.096 s to 333.988 s (333.892 s)\nkeepalive received",
            "bgp vpn.a@cgw: established\n611.080 s to 900.000 s",
            "app forward: lost\n306.440 s to 334.000 s (27.560 s)",
            "route cgw to 10.0.0.0/16: vpn.b\n333.988 s to 611.104 s",
            "tunnel vpn.a: up\n611.092 s to 900.000 s",
            "cut at 306.437 s: blackhole of path-a",
        ],
    )?;
    // The keyboard gets there, too: down to the lane, and on to its changes.
    browser.run("document.getElementById('canvas').focus()")?;
    for _ in 0..5 {
        browser.press('\u{e015}')?;
    }
    let tip = "return document.getElementById('tip').textContent";
    let first = browser.text(tip)?;
    browser.press('\u{e00f}')?;
    let second = browser.text(tip)?;
    let lane = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
    truth(lane(&first) == lane(&second) && first != second, || {
        format!("page down leads from {first:?} to {second:?}")
    })?;
    browser.press('\u{e00c}')
}

const GROUND: &str = "return Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])";
const CORNER: &str = "return document.getElementById('canvas').getContext('2d').getImageData(1, 10, 1, 1).data[0]";

fn has_a_dark_side(browser: &Browser) -> Outcome {
    let seen = || -> Outcome<[f64; 2]> {
        browser.wait(FRAMES)?;
        Ok([browser.number(GROUND)?, browser.number(CORNER)?])
    };
    let prefer = |scheme: &str| {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        browser.command("Emulation.setEmulatedMedia", &json!({ "features": [feature] }))
    };
    let (is_light, is_dark) =
        (|ground: [f64; 2]| ground.iter().all(|v| *v > 200.0), |ground: [f64; 2]| ground.iter().all(|v| *v < 60.0));
    prefer("light")?;
    let light = seen()?;
    truth(is_light(light), || format!("light is {light:?}"))?;
    prefer("dark")?;
    let dark = seen()?;
    truth(is_dark(dark), || format!("a dark system gives {dark:?}"))?;
    click(browser, "#theme")?;
    let chosen = seen()?;
    truth(is_light(chosen), || format!("the reader's choice gives {chosen:?}"))?;
    click(browser, "#theme")?;
    truth(is_dark(seen()?), || "the button leads nowhere back".into())
}

/// On paper: every lane has its still picture, nothing is wider than the sheet, and the last words of the longest parts are there.
#[test]
fn nothing_is_cut_on_paper() {
    judge("report::nothing_is_cut_on_paper", || {
        let home = tempfile::tempdir().map_err(|e| e.to_string())?;
        let falls = "Where the time went";
        for (name, part) in [
            ("active_passive.ron", falls),
            ("dx_primary_vpn_backup_tgw.ron", "on the way"),
            ("ecmp_stateful_firewall_tgw.ron", "By way out"),
        ] {
            let page = page_of(name, home.path())?;
            let browser = Browser::start()?;
            browser.open(&page)?;
            let pdf = home.path().join("page.pdf");
            std::fs::write(&pdf, browser.print()?).map_err(|e| e.to_string())?;
            let text = run(command("pdftotext -layout").arg(&pdf).arg("-"))?;
            let digest = browser.text("return document.querySelector('#again dd code').textContent")?;
            let text_of_scenario = std::fs::read_to_string(scenario(name)).map_err(|e| e.to_string())?;
            let last_name =
                text_of_scenario.rsplit("fails: \"").next().and_then(|t| t.split('"').next()).unwrap_or_default();
            expect(&text, &[&digest, part, "How to reproduce", last_name])?;

            // The width of A4 between its margins at 96 dots an inch.
            browser.command(
                "Emulation.setDeviceMetricsOverride",
                &json!({ "width": 703, "height": 1000, "deviceScaleFactor": 1, "mobile": false }),
            )?;
            browser.command("Emulation.setEmulatedMedia", &json!({ "media": "print" }))?;
            let cut = browser.run(
                "const wide = [...document.querySelectorAll('body *')].filter((it) => {
                   const style = getComputedStyle(it);
                   if (style.display === 'none' || it.closest('svg') || it.closest('.unseen') || !it.getClientRects().length) return false;
                   return it.getBoundingClientRect().right > innerWidth + 1
                     || (style.overflowX !== 'visible' && style.textOverflow !== 'ellipsis' && it.scrollWidth > it.clientWidth + 1);
                 });
                 return wide.map((it) => `${it.tagName} ${it.className} ${it.textContent.slice(0, 40)}`);",
            )?;
            truth(cut == json!([]), || format!("{name}: wider than the sheet: {cut:#}"))?;
            let lanes = browser.run(
                "return [document.querySelectorAll('.still > div:not(.axis)').length,
                         JSON.parse(document.getElementById('lane-data').textContent).lanes.length,
                         getComputedStyle(document.querySelector('.still')).display,
                         getComputedStyle(document.getElementById('lanes')).display]",
            )?;
            truth(lanes[0] == lanes[1] && lanes[2] == "block" && lanes[3] == "none", || {
                format!("{name}: lanes {lanes}")
            })?;
        }
        Ok(())
    });
}

/// The page of a minute in which each session went down and up so many times.
fn restless(changes: usize) -> Outcome<String> {
    let scenario = Scenario::parse("active_passive.ron", TEXT, &NoSecrets).map_err(|e| e.to_string())?;
    let mut simulation = Simulation::new(&scenario);
    simulation.run_until(Instant::from_secs(60));
    let mut outcome = simulation.answer();
    let pause = outcome.report.simulated_s.0.as_nanos() / (changes as u64 + 1);
    for (place, session) in outcome.report.sessions.iter_mut().enumerate() {
        let change = |n: usize| {
            let (from, to, reason) = match n % 3 {
                0 => ("down", "connecting", "startup"),
                1 => ("connecting", "up", "authenticated"),
                _ => ("up", "down", "peer_dead"),
            };
            let at = Duration::from_nanos(pause * n as u64 + (n * 7_919 + place * 104_729) as u64 % (pause / 2));
            Transition { at_s: Seconds(at), from: from.into(), to: to.into(), reason: reason.into() }
        };
        session.transitions = (0..changes).map(change).collect();
    }
    Ok(html::render(&outcome, &Asked { plan: scenario.plan(), text: TEXT, command: "" }))
}

/// What drawing costs, in milliseconds, over a walk from the whole run down to a thousandth of it and back: the page's own measures.
const WALK: &str = "
    const frame = () => new Promise(requestAnimationFrame);
    const canvas = document.getElementById('canvas');
    const { left, top, width, height } = canvas.getBoundingClientRect();
    await frame(); await frame();
    let cost = 0;
    for (let n = 0; n < 80; n++) {
      canvas.dispatchEvent(new WheelEvent('wheel', {
        clientX: left + width * 0.6, clientY: top + height / 2, deltaY: n < 40 ? -70 : 70, bubbles: true, cancelable: true,
      }));
      await frame(); await frame();
      cost += performance.getEntriesByName('lanes').reduce((sum, it) => sum + it.duration, 0);
    }
    return cost;";

/// Thirty times as many events, ten megabytes of them, cost a redraw hardly more, because drawing is bounded by pixels: a lane is
/// about 1,000 of them wide, as many as the small page has stretches in one, and what is seen of the large one is as many. It may cost
/// six times as much, for finding what is in each pixel; drawing all of it would cost thirty times.
#[test]
fn ten_megabytes_of_events_stay_smooth() {
    judge("report::ten_megabytes_of_events_stay_smooth", || {
        let home = tempfile::tempdir().map_err(|e| e.to_string())?;
        let browser = Browser::start()?;
        let mut costs = Vec::new();
        for changes in [1_000, 30_000] {
            let page = restless(changes)?;
            let events = page.split("id=\"lane-data\">").nth(1).and_then(|after| after.split("</script").next());
            let events = events.map_or(0, str::len);
            truth(changes < 30_000 || events > 10_000_000, || {
                format!("{events} octets of events are less than 10 MB")
            })?;
            let file = home.path().join(format!("{changes}.html"));
            std::fs::write(&file, page).map_err(|e| e.to_string())?;
            browser.open(&file)?;
            let cost = browser.wait(WALK)?;
            costs.push(cost.as_f64().ok_or_else(|| format!("no cost: {cost}"))?);
            let whole = range(&browser)?;
            truth(whole[1] - whole[0] > 59.9, || format!("the walk did not come back: {whole:?}"))?;
            let console = browser.console()?;
            truth(console.is_empty(), || format!("the console says {console:#?}"))?;
        }
        truth(costs[0] > 0.0 && costs[1] < 6.0 * costs[0], || format!("redraws cost {costs:?} ms"))
    });
}
