use sim_scenarios::NoSecrets;

use super::*;

/// A ping every 100 ms, 10 ms there and back; the link is cut from 2 s to 3 s, and silent from 6 s on.
pub const TWO_HOSTS: &str = r#"(
    version: 1,
    name: "two_hosts",
    question: "Does a ping come back?",
    duration: "10s",
    nodes: { "a": Host(address: "10.0.0.1/24"), "b": Host(address: "10.0.0.2/24") },
    links: { "wire": Link(between: ("a", "b"), delay: "5ms") },
    probes: { "ping": IcmpEcho(from: "a", to: "b", start: "0s", every: "100ms") },
    faults: {
        "cut": (at: "2s", heal: "3s", what: LinkDown(link: "wire")),
        "silence": (at: "6s", what: Blackhole(link: "wire")),
    },
)"#;

fn scenario(text: &str) -> Scenario {
    Scenario::parse("test.ron", text, &NoSecrets).unwrap()
}

/// Works until there is nothing to do.
fn settle(model: &mut Model<'_>) {
    while !model.work(100) {}
}

fn press(model: &mut Model<'_>, keys: &str) {
    for key in keys.chars() {
        model.press(if key == '\n' { Key::Enter } else { Key::Char(key) }).unwrap();
        settle(model);
    }
}

fn at(model: &Model<'_>) -> String {
    model.playback.now().to_string()
}

#[test]
fn time_passes_by_the_clock_and_the_speed() {
    let scenario = scenario(TWO_HOSTS);
    let mut model = Model::new(&scenario, Speed::Times(10_000)).unwrap();
    model.pass(Wall::from_millis(40)).unwrap();
    settle(&mut model);
    assert_eq!(at(&model), "0.4s");
    press(&mut model, "-");
    model.pass(Wall::from_millis(40)).unwrap();
    settle(&mut model);
    assert_eq!(at(&model), "0.6s", "5x now");
    press(&mut model, " ");
    model.pass(Wall::from_secs(1)).unwrap();
    settle(&mut model);
    assert_eq!(at(&model), "0.6s", "paused");
    press(&mut model, " ");
    model.pass(Wall::from_secs(60)).unwrap();
    settle(&mut model);
    assert_eq!(at(&model), "10s", "the end is the end");
    assert_eq!(model.mode, Mode::Paused);
    press(&mut model, " ");
    assert_eq!(model.notice.as_deref(), Some("the run is over: r begins again"));
}

#[test]
fn a_run_that_is_slower_than_the_clock_is_not_driven() {
    let scenario = scenario(TWO_HOSTS);
    let mut model = Model::new(&scenario, Speed::Times(100_000)).unwrap();
    model.pass(Wall::from_millis(10)).unwrap();
    assert!(!model.work(1), "one event is not a second");
    model.pass(Wall::from_millis(10)).unwrap();
    settle(&mut model);
    assert_eq!(at(&model), "1s", "the second call found the first unfinished");
}

#[test]
fn at_most_speed_it_goes_to_the_end_and_a_key_stops_it() {
    let scenario = scenario(TWO_HOSTS);
    let mut model = Model::new(&scenario, Speed::Max).unwrap();
    model.pass(Wall::from_millis(1)).unwrap();
    assert!(!model.work(10));
    model.press(Key::Char(' ')).unwrap();
    assert!(model.work(10), "it stands");
    assert!(model.playback.now() < model.playback.end());
    assert_eq!(model.seeking(), None);
}

/// Records of this run: the strikes and the healing. Nothing else is kept: hosts have neither sessions nor changing routes.
#[test]
fn steps_go_from_event_to_event_and_back() {
    let scenario = scenario(TWO_HOSTS);
    let mut model = Model::new(&scenario, Speed::Max).unwrap();
    let mut seen = Vec::new();
    for key in ["n", "n", "n", "n", "N", "N", "N", "N", "N"] {
        press(&mut model, key);
        seen.push(at(&model));
    }
    assert_eq!(seen, ["2s", "3s", "6s", "10s", "6s", "3s", "2s", "0s", "0s"]);
    assert_eq!(model.notice.as_deref(), Some("this is the start"));
    press(&mut model, "en");
    assert_eq!(model.notice.as_deref(), Some("the run is over"));
}

#[test]
fn faults_are_jumped_to() {
    let scenario = scenario(TWO_HOSTS);
    let mut model = Model::new(&scenario, Speed::Max).unwrap();
    let mut seen = Vec::new();
    for key in "ffffFFF".chars() {
        press(&mut model, &key.to_string());
        seen.push(format!("{}{}", at(&model), model.notice.as_deref().unwrap_or_default()));
    }
    press(&mut model, "r");
    ["f", "f"].iter().for_each(|_| model.press(Key::Char('f')).unwrap());
    settle(&mut model);
    assert_eq!(at(&model), "3s", "typed fast, two keys are still two");
    assert_eq!(seen, ["2s", "3s", "6s", "6sno fault comes after this", "3s", "2s", "2sno fault came before this"]);
}

/// Back and forth, the same moment is the same world: the digest of all that happened says so.
#[test]
fn the_same_moment_is_the_same_world() {
    let scenario = scenario(TWO_HOSTS);
    let mut straight = Model::new(&scenario, Speed::Max).unwrap();
    press(&mut straight, "g2.5\n");
    let mut detour = Model::new(&scenario, Speed::Max).unwrap();
    press(&mut detour, "ennFFbg7s\nFFg2500ms\n");
    assert_eq!((at(&straight), at(&detour)), ("2.5s".into(), "2.5s".into()));
    let digest = |model: &Model<'_>| model.playback.world().trace.digest();
    assert_eq!(digest(&straight), digest(&detour));
    assert_eq!(straight.playback.chronicle().len(true), detour.playback.chronicle().len(true));
}

#[test]
fn a_typed_time_is_understood_or_explained() {
    let scenario = scenario(TWO_HOSTS);
    let mut model = Model::new(&scenario, Speed::Max).unwrap();
    press(&mut model, "g1.25\n");
    assert_eq!(at(&model), "1.25s");
    press(&mut model, "g11s\n");
    assert_eq!(model.notice.as_deref(), Some("the run ends at 10s"));
    press(&mut model, "gsoon\n");
    assert!(model.notice.as_deref().unwrap().starts_with("no time: "), "{:?}", model.notice);
    press(&mut model, "g");
    model.press(Key::Char('q')).unwrap();
    assert_eq!(model.left, None, "it is typed, and no command");
    model.press(Key::Backspace).unwrap();
    assert_eq!(model.prompt.as_deref(), Some(""));
    model.press(Key::Escape).unwrap();
    assert_eq!(model.prompt, None);
    assert_eq!(at(&model), "1.25s");
}

#[test]
fn devices_are_chosen_and_scrolled() {
    let scenario = scenario(TWO_HOSTS);
    let mut model = Model::new(&scenario, Speed::Max).unwrap();
    let mut go = |keys: &[Key]| {
        keys.iter().for_each(|key| model.press(*key).unwrap());
        (model.page, model.chosen, model.scroll)
    };
    assert_eq!(go(&[Key::Down, Key::Down]), (Page::Overview, NodeId(1), 0), "there are two");
    assert_eq!(go(&[Key::Up, Key::PageUp, Key::Home]), (Page::Overview, NodeId(0), 0));
    assert_eq!(go(&[Key::End, Key::Enter]), (Page::Device, NodeId(1), 0));
    assert_eq!(go(&[Key::Down]), (Page::Device, NodeId(1), 0), "nothing is below");
    model.extent = Extent { page: 10, most: 25 };
    let mut go = |keys: &[Key]| {
        keys.iter().for_each(|key| model.press(*key).unwrap());
        (model.page, model.chosen, model.scroll)
    };
    assert_eq!(go(&[Key::PageDown, Key::Down]), (Page::Device, NodeId(1), 10));
    assert_eq!(go(&[Key::End]), (Page::Device, NodeId(1), 25));
    assert_eq!(go(&[Key::Tab]), (Page::Device, NodeId(0), 0), "after the last comes the first");
    assert_eq!(go(&[Key::BackTab]), (Page::Device, NodeId(1), 0));
    assert_eq!(go(&[Key::Escape]), (Page::Overview, NodeId(1), 0));
}

#[test]
fn the_window_of_time_has_the_present_in_it() {
    let scenario = scenario(TWO_HOSTS);
    let mut model = Model::new(&scenario, Speed::Max).unwrap();
    let seconds = Instant::from_secs;
    assert_eq!(model.window(), (seconds(0), seconds(10)));
    press(&mut model, "zg6\n");
    // A quarter of 10 s, with 6 s at three quarters of it.
    let (from, until) = model.window();
    assert_eq!((from.to_string().as_str(), until.to_string().as_str()), ("4.125s", "6.625s"));
    press(&mut model, "r");
    assert_eq!(model.window().0, seconds(0), "nothing is before the start");
    press(&mut model, "e");
    assert_eq!(model.window().1, seconds(10), "nor behind the end");
    press(&mut model, &"z".repeat(40));
    let (from, until) = model.window();
    assert!(until.since(from) >= Duration::from_millis(1));
    press(&mut model, &"Z".repeat(40));
    assert_eq!(model.window(), (seconds(0), seconds(10)));
}

#[test]
fn leaving_is_said_in_two_ways() {
    let scenario = scenario(TWO_HOSTS);
    let mut model = Model::new(&scenario, Speed::Max).unwrap();
    model.press(Key::Char('?')).unwrap();
    assert!(model.help);
    model.press(Key::Char('?')).unwrap();
    assert!(!model.help && model.left.is_none());
    model.press(Key::Char('?')).unwrap();
    model.press(Key::Char('q')).unwrap();
    assert_eq!(model.left, Some(Leave::Answer), "a key works also under the help");
    model.press(Key::Char('g')).unwrap();
    model.press(Key::Interrupt).unwrap();
    assert_eq!(model.left, Some(Leave::AtOnce), "Ctrl-C works also while a time is typed");
}
