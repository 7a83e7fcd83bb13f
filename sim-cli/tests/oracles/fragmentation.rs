//! strongSwan opposite our IKEv2 machine where messages are long and lives are short: IKE fragmentation (RFC 7383),
//! reauthentication, and the announcement of MOBIKE, which strongSwan makes unless it is told not to, and our end does not answer.
//!
//! Identities of 480 octets, of which strongSwan sends both, and each suite of a long list as a proposal of its own, stand for
//! certificates. Our fragments are of 576 octets, strongSwan's of its default, 1,280.

use std::net::Ipv4Addr;
use std::sync::mpsc::Receiver;

use sim_core::proto::ike::Input;
use sim_core::proto::ike::config::{
    Config, Identity, IkeVersion, Reauthentication, ReauthenticationOrder, Startup, suite_aes256_sha256_group14,
};
use sim_core::reason::State;
use sim_core::time::Duration;

use crate::gateway::{Arrival, Gateway, INITIATE};
use crate::network::isolated;
use crate::pace::Clock;
use crate::process::{Outcome, expect};
use crate::strongswan::{OURS, StrongSwan, THEIRS, addresses};

const OUR_HOST: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const THEIR_HOST: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 1);
const PSK: &str = "correct horse battery staple";
const LIMIT: Duration = Duration::from_secs(30);

const SWANCTL_CONF: &str = "
connections {
    vpnsim {
        version = 2
        local_addrs = @THEIRS@
        remote_addrs = @OURS@
        proposals = aes256-sha256-modp2048
        fragmentation = @FRAGMENTATION@
        @LIFE@
        local { auth = psk
            id = @THEIR_ID@ }
        remote { auth = psk
            id = @OUR_ID@ }
        children {
            net {
                local_ts = 0.0.0.0/0
                remote_ts = 0.0.0.0/0
                esp_proposals = @ESP@
                start_action = @START@
            }
        }
    }
}
secrets { ike-vpnsim { secret = \"@PSK@\" } }
";

/// The suite that our end takes, and 35 others.
fn esp_proposals() -> String {
    let mut all = Vec::new();
    for encryption in ["aes256", "aes192", "aes128"] {
        for integrity in ["sha256", "sha384", "sha512", "sha1"] {
            all.extend(["modp2048", "modp3072", "ecp256"].map(|group| format!("{encryption}-{integrity}-{group}")));
        }
    }
    all.join(", ")
}

/// How the two ends are set up.
struct Setting {
    /// Octets of each identity.
    identity: usize,
    we_initiate: bool,
    fragmentation: &'static str,
    /// Further settings of strongSwan's connection.
    life: &'static str,
}

fn config(setting: &Setting) -> Config {
    let id = |letter: u8| Identity::KeyId(vec![letter; setting.identity]);
    let mut config = Config::customer_gateway(id(b'o'), id(b't'), PSK.as_bytes());
    let (ike, esp) = suite_aes256_sha256_group14();
    (config.ike_offers, config.esp_offers) = (vec![ike], vec![esp]);
    config.versions = [IkeVersion::V2][..].into();
    config.fragment_size = Some(576);
    if !setting.we_initiate {
        config.startup = Startup::Add;
    }
    config
}

fn opposite(
    test: &str,
    setting: &Setting,
    config: Config,
    life: impl FnOnce(&Clock, &mut Gateway, &Receiver<Arrival>, &StrongSwan) -> Outcome,
) {
    isolated(test, || {
        let strongswan = StrongSwan::start([OUR_HOST, THEIR_HOST])?;
        let clock = Clock::start();
        let (mut gateway, inbox) = Gateway::new(config, addresses([OUR_HOST, THEIR_HOST]), clock.now())?;
        let id = |letter: &str| format!("keyid:{}", letter.repeat(setting.identity));
        let text = SWANCTL_CONF
            .replace("@OURS@", &OURS.to_string())
            .replace("@THEIRS@", &THEIRS.to_string())
            .replace("@OUR_ID@", &id("o"))
            .replace("@THEIR_ID@", &id("t"))
            .replace("@FRAGMENTATION@", setting.fragmentation)
            .replace("@LIFE@", setting.life)
            .replace("@START@", if setting.we_initiate { "none" } else { "start" })
            .replace("@ESP@", &esp_proposals())
            .replace("@PSK@", PSK);
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let file = dir.path().join("swanctl.conf");
        std::fs::write(&file, text).map_err(|e| e.to_string())?;
        strongswan.swanctl(&format!("--load-all --file {}", file.display()))?;
        if setting.we_initiate {
            gateway.handle(clock.now(), INITIATE)?;
        }
        life(&clock, &mut gateway, &inbox, &strongswan).map_err(|e| {
            let (ours, theirs) = (gateway.log(), strongswan.log());
            format!("{e}\n--- our gateway\n{ours}\n--- strongSwan\n{theirs}")
        })
    });
}

/// Both ends have the CHILD_SA: where our end is the responder, strongSwan may still be reading that it is established.
fn established(clock: &Clock, gateway: &mut Gateway, inbox: &Receiver<Arrival>, strongswan: &StrongSwan) -> Outcome {
    clock.run("CHILD_SA", LIMIT, gateway, inbox, Gateway::carries)?;
    clock.ask("strongSwan's CHILD_SA", LIMIT, gateway, inbox, || expect(&strongswan.sas()?, &["INSTALLED"]))
}

fn pings(clock: &Clock, gateway: &mut Gateway, inbox: &Receiver<Arrival>, n: u16) -> Outcome {
    for _ in 0..n {
        let answered = gateway.replies();
        gateway.ping(answered)?;
        let what = format!("the answer to ping {answered}");
        clock.run(&what, LIMIT, gateway, inbox, |g| g.replies() > answered)?;
    }
    Ok(())
}

/// IKE_AUTH in fragments, pings, a rekey of the CHILD_SA in strongSwan's fragments, pings, and a DELETE.
fn in_fragments(test: &str, we_initiate: bool) {
    let setting = Setting { identity: 480, we_initiate, fragmentation: "yes", life: "" };
    opposite(test, &setting, config(&setting), |clock, gateway, inbox, strongswan| {
        established(clock, gateway, inbox, strongswan)?;
        pings(clock, gateway, inbox, 10)?;
        // What strongSwan says when the last piece of a message has come, and when it cuts one.
        expect(&strongswan.log(), &["reassembled fragmented IKE message"])?;
        let first = gateway.spi();
        strongswan.swanctl("--rekey --child net")?;
        clock.run("the rekeyed CHILD_SA", LIMIT, gateway, inbox, |g| g.carries() && g.spi() != first)?;
        pings(clock, gateway, inbox, 10)?;
        expect(&strongswan.log(), &["splitting IKE message"])?;
        gateway.handle(clock.now(), Input::Close)?;
        clock.run("our DELETE", LIMIT, gateway, inbox, |g| g.state() == State::Down)
    });
}

#[test]
fn we_initiate_in_fragments() {
    in_fragments("fragmentation::we_initiate_in_fragments", true);
}

#[test]
fn strongswan_initiates_in_fragments() {
    in_fragments("fragmentation::strongswan_initiates_in_fragments", false);
}

/// An end that does not announce fragmentation gets none: then the packets are cut by IP, and arrive as well on this wire.
#[test]
fn without_agreement_nothing_is_fragmented() {
    let test = "fragmentation::without_agreement_nothing_is_fragmented";
    let setting = Setting { identity: 480, we_initiate: true, fragmentation: "no", life: "" };
    opposite(test, &setting, config(&setting), |clock, gateway, inbox, strongswan| {
        established(clock, gateway, inbox, strongswan)?;
        pings(clock, gateway, inbox, 10)?;
        let log = strongswan.log();
        let cut = ["splitting IKE message", "reassembled fragmented"].iter().find(|said| log.contains(**said));
        cut.map_or(Ok(()), |said| Err(format!("strongSwan says {said:?}")))
    });
}

/// strongSwan authenticates anew after 6 s, breaking first, as it does by default in this version.
#[test]
fn strongswan_authenticates_anew() {
    let test = "fragmentation::strongswan_authenticates_anew";
    let life = "reauth_time = 6s\n        over_time = 10s\n        rand_time = 0s";
    let setting = Setting { identity: 8, we_initiate: false, fragmentation: "yes", life };
    opposite(test, &setting, config(&setting), |clock, gateway, inbox, strongswan| {
        established(clock, gateway, inbox, strongswan)?;
        let first = gateway.spi();
        pings(clock, gateway, inbox, 10)?;
        clock.run("another CHILD_SA", LIMIT, gateway, inbox, |g| g.carries() && g.spi() != first)?;
        established(clock, gateway, inbox, strongswan)?;
        pings(clock, gateway, inbox, 10)?;
        expect(&strongswan.log(), &["reauthenticating IKE_SA"])
    });
}

/// We authenticate anew after 4 s, making first: our end has a CHILD_SA all the time, and strongSwan has one IKE_SA in the end.
/// strongSwan as responder sends on the new CHILD_SA before we can have it, so a packet of its own may be lost.
#[test]
fn we_authenticate_anew_without_a_gap() {
    let test = "fragmentation::we_authenticate_anew_without_a_gap";
    let setting = Setting { identity: 8, we_initiate: true, fragmentation: "yes", life: "" };
    let order = ReauthenticationOrder::MakeBeforeBreak;
    let mut config = config(&setting);
    config.reauthentication = Some(Reauthentication { after: Duration::from_secs(4), order });
    opposite(test, &setting, config, |clock, gateway, inbox, strongswan| {
        established(clock, gateway, inbox, strongswan)?;
        pings(clock, gateway, inbox, 10)?;
        let (first, mut gap) = (gateway.spi(), false);
        clock.run("another CHILD_SA", LIMIT, gateway, inbox, |g| {
            gap |= !g.carries();
            g.spi() != first
        })?;
        if gap {
            return Err("there was no CHILD_SA in between".into());
        }
        pings(clock, gateway, inbox, 10)?;
        clock.ask("strongSwan's one IKE_SA", LIMIT, gateway, inbox, || {
            match strongswan.sas()?.matches(", IKEv2, ").count() {
                1 => Ok(()),
                n => Err(format!("{n} IKE_SAs")),
            }
        })
    });
}
