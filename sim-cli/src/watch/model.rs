//! What the view shows after which keys: a state machine that knows neither a terminal nor a clock.
//!
//! [`Model::press`] takes a key, [`Model::pass`] a time of the wall clock, [`Model::work`] lets the run go on by some events. What
//! is shown follows from the moment of the run and from the keys alone, not from how fast this machine is.

use std::time::Duration as Wall;

use sim_core::id::NodeId;
use sim_core::time::{Duration, Instant};
use sim_scenarios::{Scenario, leaf};

use super::keys::Key;
use super::playback::{Goal, Playback};
use super::speed::Speed;
use crate::failure::Failure;

/// Whether time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By the wall clock, at the speed.
    Playing,
    /// Only where the keys say.
    Paused,
}

/// What fills the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Devices, links, probes, and what happened.
    Overview,
    /// What the chosen device holds.
    Device,
}

/// How the user left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// With the answer of the whole run.
    Answer,
    /// At once.
    AtOnce,
}

/// How much of what can be scrolled there is, as the view has drawn it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Lines that are shown at once.
    pub page: usize,
    /// The farthest that can be scrolled.
    pub most: usize,
}

/// The greatest zoom: a window of 1/4096 of the run.
const ZOOM_MOST: u32 = 6;

/// All that the screen depends on.
pub struct Model<'s> {
    /// The run.
    pub playback: Playback<'s>,
    /// Whether time passes.
    pub mode: Mode,
    /// How fast, if it does.
    pub speed: Speed,
    /// What fills the screen.
    pub page: Page,
    /// The device that is chosen.
    pub chosen: NodeId,
    /// Lines scrolled down, of the device's page.
    pub scroll: usize,
    /// Whether timers are in the list of what happened.
    pub timers: bool,
    /// How many times the window of time was quartered.
    pub zoom: u32,
    /// Whether the help covers the screen.
    pub help: bool,
    /// A time that is being typed.
    pub prompt: Option<String>,
    /// A word about the last key, until the next.
    pub notice: Option<String>,
    /// How the user left, if so.
    pub left: Option<Leave>,
    /// As the view has drawn it last.
    pub extent: Extent,
}

impl<'s> Model<'s> {
    /// A run at its start, playing.
    pub fn new(scenario: &'s Scenario, speed: Speed) -> Result<Self, Failure> {
        Ok(Self {
            playback: Playback::new(scenario)?,
            mode: Mode::Playing,
            speed,
            page: Page::Overview,
            chosen: NodeId(0),
            scroll: 0,
            timers: false,
            zoom: 0,
            help: false,
            prompt: None,
            notice: None,
            left: None,
            extent: Extent::default(),
        })
    }

    /// Opens the page of a device.
    pub fn show(&mut self, device: NodeId) {
        (self.page, self.chosen, self.scroll) = (Page::Device, device, 0);
    }

    /// Sets out for a moment and stays there.
    pub fn go_to(&mut self, at: Instant) -> Result<(), Failure> {
        self.mode = Mode::Paused;
        self.playback.go(Goal::At(at.min(self.playback.end())))
    }

    /// So much time of the wall clock has passed. If the run has not come as far as it was to come before, it is not asked for
    /// more: it is slower then, and the screen stays alive.
    pub fn pass(&mut self, wall: Wall) -> Result<(), Failure> {
        if self.mode == Mode::Paused || self.playback.goal().is_some() {
            return Ok(());
        }
        if self.playback.is_over() {
            self.mode = Mode::Paused;
            return Ok(());
        }
        let end = self.playback.end();
        let until = self.speed.of(wall).map_or(end, |passes| (self.playback.now() + passes).min(end));
        self.playback.go(Goal::At(until))
    }

    /// Lets the run go on by so many events. True if there is nothing to do until time passes or a key is pressed.
    pub fn work(&mut self, most: u64) -> bool {
        let idle = self.playback.work(most);
        if self.playback.is_over() {
            self.mode = Mode::Paused;
        }
        idle
    }

    /// Where the run is going on behalf of a key, rather than of the clock.
    pub fn seeking(&self) -> Option<Goal> {
        self.playback.goal().filter(|_| self.mode == Mode::Paused)
    }

    /// The window of time that the lanes show: all of the run, or a part with the present in its third quarter.
    pub fn window(&self) -> (Instant, Instant) {
        let (now, end) = (self.playback.now(), self.playback.end());
        let length = Duration::from_nanos((end.as_nanos() >> (2 * self.zoom)).max(1));
        let before = length.scale(3, 4);
        let from = now.since(Instant::START).saturating_sub(before);
        let latest = end.since(Instant::START).saturating_sub(length);
        let from = Instant::START + from.min(latest);
        (from, from + length)
    }

    /// A key was pressed.
    pub fn press(&mut self, key: Key) -> Result<(), Failure> {
        self.notice = None;
        if key == Key::Interrupt {
            self.left = Some(Leave::AtOnce);
            return Ok(());
        }
        if self.prompt.is_some() {
            return self.type_time(key);
        }
        if self.help {
            self.help = false;
            if matches!(key, Key::Char('?') | Key::Escape | Key::Enter) {
                return Ok(());
            }
        }
        match key {
            Key::Char('q') => self.left = Some(Leave::Answer),
            Key::Char('?' | 'h') => self.help = true,
            Key::Char(' ' | 'p') => self.play_or_pause(),
            Key::Char('+' | '=') => self.speed = self.speed.faster(),
            Key::Char('-' | '_') => self.speed = self.speed.slower(),
            Key::Char('m') => self.speed = Speed::Max,
            Key::Char('s') | Key::Right => self.step(true)?,
            Key::Char('n') => self.step(false)?,
            Key::Char('b') | Key::Left => self.step_back(true)?,
            Key::Char('N') => self.step_back(false)?,
            Key::Char('f') => self.next_fault()?,
            Key::Char('F') => self.previous_fault()?,
            Key::Char('g') => self.prompt = Some(String::new()),
            Key::Char('r') => self.go_to(Instant::START)?,
            Key::Char('e') => self.go_to(self.playback.end())?,
            Key::Char('t') => self.timers = !self.timers,
            Key::Char('z') => self.zoom = (self.zoom + 1).min(ZOOM_MOST),
            Key::Char('Z') => self.zoom = self.zoom.saturating_sub(1),
            Key::Up | Key::Char('k') => self.move_by(-1),
            Key::Down | Key::Char('j') => self.move_by(1),
            Key::PageUp => self.move_by(-self.a_page()),
            Key::PageDown => self.move_by(self.a_page()),
            Key::Home => self.move_by(isize::MIN),
            Key::End => self.move_by(isize::MAX),
            Key::Enter if self.page == Page::Overview => self.show(self.chosen),
            Key::Enter | Key::Escape | Key::Backspace => self.page = Page::Overview,
            Key::Tab => self.choose(1),
            Key::BackTab => self.choose(-1),
            Key::Char(_) | Key::Interrupt => {}
        }
        Ok(())
    }

    fn play_or_pause(&mut self) {
        match self.mode {
            // Also on the way to somewhere: it stops here.
            Mode::Playing => self.mode = Mode::Paused,
            Mode::Paused if self.playback.goal().is_some() => {}
            Mode::Paused if self.playback.is_over() => {
                self.notice = Some("the run is over: r begins again".into());
                return;
            }
            Mode::Paused => {
                self.mode = Mode::Playing;
                return;
            }
        }
        self.playback.halt();
    }

    fn step(&mut self, timers: bool) -> Result<(), Failure> {
        self.mode = Mode::Paused;
        if self.playback.is_over() {
            self.notice = Some("the run is over".into());
            return Ok(());
        }
        self.playback.go(Goal::Event { timers })
    }

    fn step_back(&mut self, timers: bool) -> Result<(), Failure> {
        let now = self.playback.now();
        if now == Instant::START {
            self.notice = Some("this is the start".into());
        }
        self.go_to(self.playback.chronicle().before(now, timers).unwrap_or(Instant::START))
    }

    /// The moment that was asked for last: a second key counts from where the first one leads, arrived there or not.
    fn aim(&self) -> Instant {
        match self.seeking() {
            Some(Goal::At(at)) => at,
            Some(Goal::Event { .. }) | None => self.playback.now(),
        }
    }

    fn next_fault(&mut self) -> Result<(), Failure> {
        let (now, all) = (self.aim(), self.playback.fault_moments());
        match all.iter().find(|at| **at > now) {
            Some(at) => self.go_to(*at),
            None => {
                let none = if all.is_empty() { "this scenario has no faults" } else { "no fault comes after this" };
                self.notice = Some(none.into());
                Ok(())
            }
        }
    }

    fn previous_fault(&mut self) -> Result<(), Failure> {
        let now = self.aim();
        match self.playback.fault_moments().iter().rev().find(|at| **at < now) {
            Some(at) => self.go_to(*at),
            None => {
                self.notice = Some("no fault came before this".into());
                Ok(())
            }
        }
    }

    fn type_time(&mut self, key: Key) -> Result<(), Failure> {
        let mut typed = self.prompt.take().unwrap_or_default();
        match key {
            Key::Escape => return Ok(()),
            Key::Enter => {
                return match time(&typed) {
                    Ok(at) if at > self.playback.end() => {
                        self.notice = Some(format!("the run ends at {}", self.playback.end()));
                        Ok(())
                    }
                    Ok(at) => self.go_to(at),
                    Err(what) => {
                        self.notice = Some(what);
                        Ok(())
                    }
                };
            }
            Key::Backspace => drop(typed.pop()),
            // No time is longer.
            Key::Char(c) if typed.len() < 24 => typed.push(c),
            _ => {}
        }
        self.prompt = Some(typed);
        Ok(())
    }

    fn a_page(&self) -> isize {
        self.extent.page.saturating_sub(1).max(1) as isize
    }

    /// Scrolls the device's page, or chooses another device.
    fn move_by(&mut self, lines: isize) {
        match self.page {
            Page::Overview => {
                let last = self.playback.plan().nodes.len().saturating_sub(1);
                self.chosen = NodeId((self.chosen.index().saturating_add_signed(lines)).min(last) as u32);
            }
            Page::Device => self.scroll = self.scroll.saturating_add_signed(lines).min(self.extent.most),
        }
    }

    /// The next device, or the one before; after the last comes the first.
    fn choose(&mut self, by: isize) {
        let count = self.playback.plan().nodes.len().max(1);
        self.chosen = NodeId(((self.chosen.index() + count).saturating_add_signed(by) % count) as u32);
        self.scroll = 0;
    }
}

/// A typed time; a bare number is of seconds.
fn time(text: &str) -> Result<Instant, String> {
    let text = text.trim();
    let bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let time = leaf::duration(&if bare { format!("{text}s") } else { text.to_owned() });
    time.map(|time| Instant::START + time).map_err(|why| format!("no time: {why}"))
}

#[cfg(test)]
mod tests;
