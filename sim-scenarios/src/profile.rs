//! Named device profiles: what real devices do that their RFCs leave open, as data with sources.
//!
//! A profile gives the defaults of a customer gateway; what a scenario states itself is stronger. What a profile set, and from
//! which source, is said by `vpnsim check` and stands in the report. The profile of AWS's ends cannot be chosen: it is what they
//! have.
//!
//! Left out, as nothing here can tell it apart yet: BIRD's connect delay of 5 s and what daemons do at their own start.

use sim_core::time::Duration;

use crate::plan::TcpProfile;

/// How a device behaves where nothing else is said.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Profile {
    /// What a scenario calls it.
    pub name: &'static str,
    /// What it is, with the version that was looked at.
    pub about: &'static str,
    /// Waits after each sending of an IKE request, in milliseconds.
    pub retransmission_ms: &'static [u64],
    /// True if a peer is dead when the repetitions of a liveness check have ended, whatever the DPD timeout; false if the timeout
    /// counts.
    pub dpd_by_retransmission: bool,
    /// Its DPD timeout in seconds; `None`: as at AWS's end.
    pub dpd_timeout_s: Option<u64>,
    /// Its lifetimes of phase 1 and phase 2 in seconds; `None`: as at AWS's end.
    pub lifetimes_s: Option<[u64; 2]>,
    /// True if it says that its address may change (RFC 4555).
    pub mobike: bool,
    /// How long it takes packets of a CHILD_SA that was rekeyed, in seconds.
    pub delete_rekeyed_delay_s: u64,
    /// True if routes into a tunnel come and go with its CHILD_SA.
    pub routes_follow_sa: bool,
    /// How its TCP behaves.
    pub tcp: TcpProfile,
    /// Its BGP.
    pub bgp: BgpProfile,
    /// Where each setting comes from: its name and the source.
    pub sources: &'static [(&'static str, &'static str)],
}

/// BGP of a profile.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BgpProfile {
    /// The hold time that it offers, in seconds.
    pub hold_s: u64,
    /// True if timers last 0.75 to 1 times their value (RFC 4271 section 10).
    pub jitter: bool,
    /// True if that is so for the hold timer, too.
    pub hold_jitter: bool,
    /// How late it acts on an expired hold timer at most, uniform from none, in milliseconds: the granularity of its event loop.
    pub poll_ms: u64,
    /// ConnectRetryTime in seconds.
    pub connect_retry_s: u64,
    /// First wait after a session failed, in seconds.
    pub idle_hold_s: u64,
    /// The wait doubles with each failure up to this; `None`: it does not.
    pub idle_hold_limit_s: Option<u64>,
}

/// strongSwan's series: 4 s, growing by 1.8, five repetitions, 165 s in all.
const STRONGSWAN_MS: [u64; 6] = [4_000, 7_200, 12_960, 23_328, 41_990, 75_582];
/// Libreswan's: 0.5 s, doubling, until 60 s are over.
const LIBRESWAN_MS: [u64; 7] = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 28_500];

/// Its hold time is AWS's, which is what AWS's configuration files tell a customer gateway.
const RFC_BGP: BgpProfile = BgpProfile {
    hold_s: 30,
    jitter: true,
    hold_jitter: false,
    poll_ms: 0,
    connect_retry_s: 120,
    idle_hold_s: 10,
    idle_hold_limit_s: None,
};

const STRONGSWAN_SOURCE: (&str, &str) = (
    "retransmission",
    "strongSwan 5.9.8, strongswan.conf(5): charon.retransmit_timeout 4.0, retransmit_base 1.8, retransmit_tries 5",
);
const STRONGSWAN_DPD: (&str, &str) = (
    "dpd_timeout",
    "strongSwan 5.9.8, swanctl.conf(5) and packets: ignored with IKEv2, the peer is dead when the retransmissions have ended",
);
const STRONGSWAN_MOBIKE: (&str, &str) =
    ("mobike", "strongSwan 5.9.8, swanctl.conf(5): connections.<conn>.mobike is yes");
const STRONGSWAN_DELAY: (&str, &str) =
    ("delete_rekeyed_delay", "strongSwan 5.9.8, strongswan.conf(5): charon.delete_rekeyed_delay 5");
const STRONGSWAN_ROUTES: (&str, &str) = (
    "routes_follow_sa",
    "strongSwan 5.9.8: without an updown script or an interface that follows the SA, nothing above IPsec learns of a dead SA",
);
const LINUX_TCP: (&str, &str) = (
    "tcp",
    "Linux, packets: after a retransmission timeout only the first unacknowledged segment is sent until an ACK advances",
);

/// The RFCs and nothing else, where they say something.
pub const GENERIC: Profile = Profile {
    name: "generic",
    about: "the RFCs; where they say nothing, strongSwan's series and Linux's TCP",
    retransmission_ms: &STRONGSWAN_MS,
    dpd_by_retransmission: false,
    dpd_timeout_s: None,
    lifetimes_s: None,
    mobike: false,
    delete_rekeyed_delay_s: 0,
    routes_follow_sa: true,
    tcp: TcpProfile::Linux,
    bgp: RFC_BGP,
    sources: &[],
};

/// strongSwan with BIRD.
pub const STRONGSWAN_BIRD: Profile = Profile {
    name: "strongswan_bird",
    about: "strongSwan 5.9.8 (IKEv2) with BIRD 2.0.12 on Linux",
    dpd_by_retransmission: true,
    mobike: true,
    delete_rekeyed_delay_s: 5,
    routes_follow_sa: false,
    bgp: BgpProfile { hold_jitter: true, poll_ms: 3_000, idle_hold_s: 60, idle_hold_limit_s: Some(300), ..RFC_BGP },
    sources: &[
        STRONGSWAN_SOURCE,
        STRONGSWAN_DPD,
        STRONGSWAN_MOBIKE,
        STRONGSWAN_DELAY,
        STRONGSWAN_ROUTES,
        LINUX_TCP,
        (
            "jitter",
            "BIRD 2.0.12, source and measurement: every timer lasts 0.75 to 1 times its value, the hold timer, too",
        ),
        ("poll", "BIRD 2.0.12, measurement: it acts on an expired timer up to about 3 s late"),
        ("connect_retry", "BIRD 2.0.12, manual: connect retry time 120"),
        ("idle_hold", "BIRD 2.0.12, manual: error wait time 60, 300: doubled with each failure"),
    ],
    ..GENERIC
};

/// strongSwan with FRR.
pub const STRONGSWAN_FRR: Profile = Profile {
    name: "strongswan_frr",
    about: "strongSwan 5.9.8 (IKEv2) with FRR 8.4 on Linux",
    bgp: BgpProfile { jitter: false, idle_hold_s: 1, ..RFC_BGP },
    sources: &[
        STRONGSWAN_SOURCE,
        STRONGSWAN_DPD,
        STRONGSWAN_MOBIKE,
        STRONGSWAN_DELAY,
        STRONGSWAN_ROUTES,
        LINUX_TCP,
        ("jitter", "FRR 8.4, measurement: the hold timer is not shortened; source: nor are keepalives"),
        ("connect_retry", "FRR 8.4, manual: timers connect 120"),
        ("idle_hold", "FRR 8.4, source: the initial start timer is 1 s"),
    ],
    ..STRONGSWAN_BIRD
};

/// Libreswan.
pub const LIBRESWAN: Profile = Profile {
    name: "libreswan",
    about: "Libreswan 4 (IKEv2) on Linux, whatever speaks BGP beside it",
    retransmission_ms: &LIBRESWAN_MS,
    dpd_by_retransmission: true,
    sources: &[
        (
            "retransmission",
            "Libreswan, ipsec.conf(5): retransmit-interval 500 ms, doubled, until retransmit-timeout 60 s",
        ),
        ("dpd_timeout", "Libreswan, ipsec.conf(5): with IKEv2 the peer is given up after retransmit-timeout"),
        ("routes_follow_sa", "Libreswan, ipsec_updown(8): routes come and go with the SA"),
        LINUX_TCP,
    ],
    ..GENERIC
};

/// Azure's VPN gateway, as the customer gateway of a connection between the two clouds.
pub const AZURE: Profile = Profile {
    name: "azure",
    about: "Azure VPN Gateway, route-based (IKEv2), as far as its documents go",
    dpd_timeout_s: Some(45),
    lifetimes_s: Some([28_800, 27_000]),
    bgp: BgpProfile { hold_s: 180, ..RFC_BGP },
    sources: &[
        ("dpd_timeout", "Azure VPN Gateway, \"About VPN devices and IPsec/IKE parameters\": DPD timeout 45 s"),
        (
            "lifetimes",
            "Azure VPN Gateway, \"About VPN devices and IPsec/IKE parameters\": SA lifetime 28,800 s in main mode, 27,000 s in quick mode",
        ),
        ("hold_time", "Azure VPN Gateway FAQ: the BGP keepalive timer is 60 s, the hold timer 180 s"),
    ],
    ..GENERIC
};

/// Google's Cloud VPN with Cloud Router, likewise.
pub const GCP: Profile = Profile {
    name: "gcp",
    about: "Google Cloud HA VPN (IKEv2) with Cloud Router, as far as its documents go",
    lifetimes_s: Some([36_000, 10_800]),
    bgp: BgpProfile { hold_s: 60, ..RFC_BGP },
    sources: &[
        ("lifetimes", "Cloud VPN, \"Supported IKE ciphers\": 36,000 s in phase 1, 10,800 s in phase 2"),
        ("hold_time", "Cloud Router, \"Manage BGP timers\": keepalive 20 s, hold time three times that"),
    ],
    ..GENERIC
};

/// AWS's end of a tunnel.
pub const AWS: Profile = Profile {
    name: "aws",
    about: "AWS's VPN endpoint, as far as its documents go; the rest is assumed, and is among the assumptions",
    sources: &[
        ("retransmission", "UNVERIFIED: AWS publishes no series; strongSwan's"),
        ("dpd_timeout", "Site-to-Site VPN user guide, tunnel options: it counts, 40 s if not given"),
        ("mobike", "UNVERIFIED: AWS documents none"),
        ("routes_follow_sa", "Site-to-Site VPN user guide, vpn-route-priority: unhealthy endpoints are not used"),
        ("tcp", "UNVERIFIED: AWS does not say which TCP its endpoints run"),
        ("jitter", "UNVERIFIED: RFC 4271 section 10"),
        ("connect_retry", "UNVERIFIED: RFC 4271 section 10"),
        ("idle_hold", "UNVERIFIED: neither the RFC nor AWS gives a value"),
    ],
    ..GENERIC
};

/// The profiles that a customer gateway may have.
pub const CUSTOMER: [&Profile; 6] = [&GENERIC, &STRONGSWAN_BIRD, &STRONGSWAN_FRR, &LIBRESWAN, &AZURE, &GCP];

impl Profile {
    /// The customer gateway's profile of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        CUSTOMER.into_iter().find(|profile| profile.name == name)
    }

    /// The waits after each sending of an IKE request.
    pub fn retransmission(&self) -> Vec<Duration> {
        self.retransmission_ms.iter().map(|ms| Duration::from_millis(*ms)).collect()
    }

    /// Where a setting comes from.
    pub fn source(&self, setting: &str) -> Option<&'static str> {
        self.sources.iter().find(|(name, _)| *name == setting).map(|(_, source)| *source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sums that the manuals give: 165 s for strongSwan (4 * (1.8^6 - 1) / 0.8, each wait in whole milliseconds), 60 s for
    /// Libreswan.
    #[test]
    fn series_last_as_long_as_the_manuals_say() {
        let total = |profile: &Profile| profile.retransmission_ms.iter().sum::<u64>();
        let strongswan = 4_000.0 * (1.8_f64.powi(6) - 1.0) / 0.8;
        assert!((total(&STRONGSWAN_BIRD) as f64 - strongswan).abs() < 6.0, "{strongswan}");
        assert_eq!(total(&LIBRESWAN), 60_000);
    }

    /// Whatever differs from the generic profile has a source.
    #[test]
    fn nothing_is_set_without_a_source() {
        for profile in CUSTOMER.into_iter().chain([&AWS]) {
            let bgp = (&profile.bgp, &GENERIC.bgp);
            let set = [
                ("retransmission", profile.retransmission_ms != GENERIC.retransmission_ms),
                ("dpd_timeout", profile.dpd_by_retransmission || profile.dpd_timeout_s.is_some()),
                ("lifetimes", profile.lifetimes_s.is_some()),
                ("hold_time", bgp.0.hold_s != bgp.1.hold_s),
                ("mobike", profile.mobike),
                ("delete_rekeyed_delay", profile.delete_rekeyed_delay_s != 0),
                ("routes_follow_sa", !profile.routes_follow_sa),
                ("tcp", profile.tcp != GENERIC.tcp),
                ("jitter", (bgp.0.jitter, bgp.0.hold_jitter) != (bgp.1.jitter, bgp.1.hold_jitter)),
                ("poll", bgp.0.poll_ms != 0),
                ("connect_retry", bgp.0.connect_retry_s != bgp.1.connect_retry_s),
                ("idle_hold", (bgp.0.idle_hold_s, bgp.0.idle_hold_limit_s) != (bgp.1.idle_hold_s, None)),
            ];
            for (setting, differs) in set {
                assert!(!differs || profile.source(setting).is_some(), "{}: {setting}", profile.name);
            }
        }
    }
}
