//! Which profile a customer gateway has, and what was left to it.

use sim_core::time::Duration;

use crate::leaf::Name;
use crate::place::At;
use crate::plan::{BgpEnd, IkeEnd, ProfileUse};
use crate::profile::{self, GENERIC, Profile};
use crate::schema;

use super::judge::{Judge, did_you_mean};

/// The profile of that name.
pub(super) fn named(at: &Option<At<Name>>, j: &mut Judge) -> &'static Profile {
    let Some(at) = at else { return &GENERIC };
    let Some(Name(name)) = j.read(at) else { return &GENERIC };
    Profile::named(&name).unwrap_or_else(|| {
        let names = profile::CUSTOMER.map(|profile| profile.name);
        let help = match name == profile::AWS.name {
            true => Some("that is what AWS's ends have: a customer gateway is another device".to_owned()),
            false => did_you_mean(&name, names),
        };
        let help = help.unwrap_or_else(|| format!("one of {}", names.join(", ")));
        j.wrong(at.place, format!("no device profile is called `{name}`"), Some(help));
        &GENERIC
    })
}

/// Collects what was left to a profile that says where it has it from.
pub(super) struct Left {
    profile: &'static Profile,
    settings: Vec<(String, String, &'static str)>,
}

impl Left {
    pub fn to(profile: &'static Profile) -> Self {
        Self { profile, settings: Vec::new() }
    }

    fn note(&mut self, given: bool, path: String, setting: &str, value: impl ToString) {
        if let Some(source) = self.profile.source(setting).filter(|_| !given) {
            self.settings.push((path, value.to_string(), source));
        }
    }

    /// The device itself.
    pub fn device(&mut self, path: &str, schema: &schema::CustomerGateway) {
        let tcp = format!("{:?}", self.profile.tcp).to_lowercase();
        self.note(
            schema.routes_follow_sa.is_some(),
            format!("{path}.routes_follow_sa"),
            "routes_follow_sa",
            self.profile.routes_follow_sa,
        );
        self.note(schema.tcp.is_some(), format!("{path}.tcp"), "tcp", tcp);
    }

    /// The customer gateway's end of a tunnel.
    pub fn tunnel(&mut self, path: &str, schema: &schema::CustomerEnd, end: &IkeEnd) {
        let waits: Vec<String> = end.retransmission.iter().map(Duration::to_string).collect();
        let timeout = end.dpd.timeout.unwrap_or_default();
        let delay = end.packets.delete_rekeyed_delay.unwrap_or_default();
        let settings = [
            (schema.retransmission.is_some(), "retransmission", waits.join(", ")),
            (schema.dpd_timeout.is_some(), "dpd_timeout", timeout.to_string()),
            (
                schema.phase1.lifetime.is_some() && schema.phase2.lifetime.is_some(),
                "lifetimes",
                format!("{}, {}", end.phase1.lifetime, end.phase2.lifetime),
            ),
            (schema.mobike.is_some(), "mobike", end.mobike.to_string()),
            (schema.delete_rekeyed_delay.is_some(), "delete_rekeyed_delay", delay.to_string()),
        ];
        for (given, setting, value) in settings {
            self.note(given, format!("{path}.{setting}"), setting, value);
        }
    }

    /// BGP of the customer gateway on a connection.
    pub fn bgp(&mut self, path: &str, schema: &schema::BgpTimers, end: &BgpEnd) {
        let jitter = match (end.jitter, end.hold_jitter) {
            (false, _) => "false",
            (true, false) => "true",
            (true, true) => "true, of the hold timer too",
        };
        let limit = end.idle_hold_limit.map(|limit| format!(", doubling up to {limit}")).unwrap_or_default();
        let settings = [
            (schema.hold_time.is_some(), "hold_time", end.hold_time.to_string()),
            (schema.jitter.is_some(), "jitter", jitter.to_owned()),
            (schema.poll.is_some(), "poll", end.poll.to_string()),
            (schema.connect_retry.is_some(), "connect_retry", end.connect_retry.to_string()),
            (schema.idle_hold.is_some(), "idle_hold", format!("{}{limit}", end.idle_hold)),
        ];
        for (given, setting, value) in settings {
            self.note(given, format!("{path}.{setting}"), setting, value);
        }
    }

    /// What was left to the profile of a device, if it has another than the generic one.
    pub fn of(self, device: &str) -> Option<ProfileUse> {
        let Self { profile, settings } = self;
        let (name, about) = (profile.name, profile.about);
        (*profile != GENERIC).then(|| ProfileUse { device: device.to_owned(), profile: name, about, settings })
    }
}
