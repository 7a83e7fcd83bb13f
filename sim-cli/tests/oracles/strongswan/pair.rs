//! The two ends of a tunnel: our machine, and strongSwan with our export.

use std::net::Ipv4Addr;
use std::sync::mpsc::Receiver;

use sim_core::proto::ike::{Config, Input};
use sim_core::reason::State;
use sim_core::time::Duration;

use super::daemon::{StrongSwan, addresses};
use crate::customer::Customer;
use crate::gateway::{Arrival, Gateway, INITIATE};
use crate::pace::Clock;
use crate::process::{Outcome, expect, run_line};

/// A site opposite AWS.
pub const SITE: &str = include_str!("../site.ron");
/// The host behind our end.
const OUR_HOST: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 10);
/// The host behind strongSwan's end.
const THEIR_HOST: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 10);
/// Far more than anything here takes, on a machine that has other things to do.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Who begins.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Initiator {
    We,
    StrongSwan,
}

impl Initiator {
    /// The changes of a scenario that leave it to one end to begin.
    pub fn changes(self) -> Vec<String> {
        let (aws, customer) = if self == Self::We { ("start", "add") } else { ("add", "start") };
        vec![
            format!("connections.vpn.tunnels.a.startup_action={aws}"),
            format!("connections.vpn.tunnels.a.customer.startup_action={customer}"),
        ]
    }
}

/// Our machine and strongSwan, at work.
pub struct Pair {
    pub clock: Clock,
    pub gateway: Gateway,
    pub strongswan: StrongSwan,
    inbox: Receiver<Arrival>,
}

impl Pair {
    /// A wire with strongSwan at one end and a machine that has no peer yet at the other.
    pub fn start() -> Outcome<Self> {
        let strongswan = StrongSwan::start([OUR_HOST, THEIR_HOST])?;
        let clock = Clock::start();
        let idle = Customer::of(SITE, &[])?.aws();
        let (gateway, inbox) = Gateway::new(idle, addresses([OUR_HOST, THEIR_HOST]), clock.now())?;
        Ok(Self { clock, gateway, strongswan, inbox })
    }

    /// Both ends by a scenario with these changes; `adjust` what AWS does not let one choose.
    pub fn configure(
        &mut self,
        changes: &[String],
        initiator: Initiator,
        adjust: impl FnOnce(&mut Config),
    ) -> Outcome<Config> {
        let customer = Customer::of(SITE, &[changes, &initiator.changes()].concat())?;
        let mut config = customer.aws();
        adjust(&mut config);
        self.gateway.renew(config.clone(), self.clock.now());
        self.strongswan.load(&customer.export("swanctl", "")?)?;
        if initiator == Initiator::We {
            self.gateway.handle(self.clock.now(), INITIATE)?;
        }
        Ok(config)
    }

    /// Lets our machine work until something holds of it.
    pub fn run(&mut self, what: &str, done: impl FnMut(&Gateway) -> bool) -> Outcome {
        self.clock.run(what, LIMIT, &mut self.gateway, &self.inbox, done)
    }

    /// Lets our machine work until its session is down, for so long at most.
    pub fn run_down(&mut self, limit: Duration) -> Outcome {
        let down = |g: &Gateway| g.state() == State::Down;
        self.clock.run("the end of our session", limit, &mut self.gateway, &self.inbox, down)
    }

    /// Lets our machine work until strongSwan answers.
    pub fn ask<T>(&mut self, what: &str, mut probe: impl FnMut(&StrongSwan) -> Outcome<T>) -> Outcome<T> {
        let strongswan = &self.strongswan;
        self.clock.ask(what, LIMIT, &mut self.gateway, &self.inbox, || probe(strongswan))
    }

    /// Lets our machine work for so long.
    pub fn serve(&mut self, time: Duration) -> Outcome {
        self.clock.serve(time, &mut self.gateway, &self.inbox)
    }

    /// Runs swanctl while our machine works.
    pub fn swanctl(&mut self, arguments: &str) -> Outcome {
        let line = self.strongswan.swanctl_line(arguments);
        let running = std::thread::spawn(move || run_line(&line));
        while !running.is_finished() {
            self.serve(Duration::from_millis(10))?;
        }
        running.join().map_err(|_| "swanctl's thread panicked")?.map(drop)
    }

    /// Both ends agree that the tunnel is up, with this in strongSwan's report.
    pub fn come_up(&mut self, report: &[&str]) -> Outcome {
        self.run("our CHILD_SA", Gateway::carries)?;
        self.ask("strongSwan's SAs", |s| expect(&s.sas()?, &[&["ESTABLISHED", "INSTALLED"], report].concat()))
    }

    /// Sends `n` pings, each when the one before is answered.
    pub fn pings(&mut self, n: u16) -> Outcome {
        for _ in 0..n {
            let answered = self.gateway.replies();
            self.gateway.ping(answered)?;
            self.run(&format!("the answer to ping {answered}"), |g| g.replies() > answered)?;
        }
        Ok(())
    }

    /// strongSwan rekeys the CHILD_SA, and both ends have the new one alone.
    pub fn they_rekey_the_child(&mut self) -> Outcome {
        let before = self.gateway.spi();
        self.swanctl("--rekey --child vpn-a")?;
        self.run("the CHILD_SA that strongSwan rekeyed", |g| g.carries() && g.spi() != before)?;
        self.ask("strongSwan's one CHILD_SA", |s| s.children(1)).map(drop)
    }

    /// strongSwan rekeys the IKE_SA, and has the new one alone.
    pub fn they_rekey_the_ike_sa(&mut self) -> Outcome {
        let before = self.ask("strongSwan's IKE_SA", StrongSwan::ike_sa)?;
        self.swanctl("--rekey --ike vpn-a")?;
        self.new_ike_sa(&before).map(drop)
    }

    /// Waits for an IKE_SA that is not the one before.
    pub fn new_ike_sa(&mut self, before: &str) -> Outcome<String> {
        self.ask("the rekeyed IKE_SA", |s| match s.ike_sa()? {
            after if after != before => Ok(after),
            same => Err(format!("still {same}")),
        })
    }

    /// Our DELETE leaves strongSwan without an SA.
    pub fn we_delete(&mut self) -> Outcome {
        self.gateway.handle(self.clock.now(), Input::Close)?;
        self.run("our DELETE", |g| g.state() == State::Down)?;
        self.ask("strongSwan without SAs", |s| match s.sas()? {
            none if none.trim().is_empty() => Ok(()),
            left => Err(format!("after our DELETE strongSwan has\n{left}")),
        })
    }

    /// strongSwan's DELETE leaves us without an SA.
    pub fn they_delete(&mut self) -> Outcome {
        self.swanctl("--terminate --ike vpn-a")?;
        self.run("strongSwan's DELETE", |g| g.state() == State::Down && !g.carries())
    }

    /// A failure, with what both ends say of it.
    pub fn explain(&self, failure: String) -> String {
        let (ours, theirs) = (self.gateway.log(), self.strongswan.log());
        format!("{failure}\n--- our gateway\n{ours}\n--- strongSwan\n{theirs}")
    }
}
