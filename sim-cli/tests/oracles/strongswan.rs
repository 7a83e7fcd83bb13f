//! strongSwan opposite our IKE and ESP machines, as initiator and as responder.
//!
//! strongSwan runs with its user-space ESP (`kernel-libipsec`), because many machines have network namespaces but no
//! kernel ESP. It carries ESP in UDP only, so our machine has to find a NAT, and float to port 4500.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use sim_core::crypto::dh::DhGroup;
use sim_core::crypto::prf::Prf;
use sim_core::crypto::suite::{Encryption, Integrity};
use sim_core::proto::ike::config::{Config, EspOffer, Identity, IkeOffer, IkeVersion, Startup};
use sim_core::proto::ike::config::{suite_aes128_sha1_group2, suite_aes256_sha256_group14};
use sim_core::proto::ike::{Input, NAT_PORT, PORT};
use sim_core::reason::State;
use sim_core::time::Duration;
use tempfile::TempDir;

use crate::gateway::{Addresses, Arrival, Gateway, INITIATE, STANDARD_PORTS};
use crate::network::{Namespace, isolated};
use crate::pace::Clock;
use crate::process::{Daemon, Outcome, command, expect, run, run_line, wait_for};

/// Our end of the tunnel.
pub const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// strongSwan's end of the tunnel.
pub const THEIRS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The host behind our end.
const OUR_HOST: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
/// The host behind strongSwan's end.
const THEIR_HOST: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 1);
const ADDRESSES: Addresses = Addresses {
    local: OURS,
    remote: THEIRS,
    our_host: OUR_HOST,
    their_host: THEIR_HOST,
    our_ports: STANDARD_PORTS,
    their_ports: STANDARD_PORTS,
};
const PSK: &str = "correct horse battery staple";
const OTHER_PSK: &str = "another secret altogether";

const PINGS: u16 = 100;
/// Silence before we ask whether strongSwan lives.
const DPD_IDLE: Duration = Duration::from_secs(2);
/// Far more than anything here takes, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(30);

/// A suite in our words, in strongSwan's, and as strongSwan reports it.
pub struct Suite {
    offers: (IkeOffer, EspOffer),
    ike: &'static str,
    esp: &'static str,
    pub ike_report: &'static str,
    pub esp_report: &'static str,
}

/// What AWS and a customer gateway agree on by default.
pub fn aws_default() -> Suite {
    Suite {
        offers: suite_aes128_sha1_group2(),
        ike: "aes128-sha1-modp1024",
        esp: "aes128-sha1-modp1024",
        ike_report: "AES_CBC-128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_1024",
        esp_report: "TUNNEL-in-UDP, ESP:AES_CBC-128/HMAC_SHA1_96",
    }
}

pub fn aes256_gcm_ecp256() -> Suite {
    let ike = IkeOffer {
        encryption: vec![Encryption::AesGcm16_256],
        integrity: Vec::new(),
        prf: vec![Prf::HmacSha2_256],
        groups: vec![DhGroup::Ecp256],
    };
    let esp =
        EspOffer { encryption: vec![Encryption::AesGcm16_256], integrity: Vec::new(), groups: vec![DhGroup::Ecp256] };
    Suite {
        offers: (ike, esp),
        ike: "aes256gcm16-prfsha256-ecp256",
        esp: "aes256gcm16-ecp256",
        ike_report: "AES_GCM_16-256/PRF_HMAC_SHA2_256/ECP_256",
        esp_report: "TUNNEL-in-UDP, ESP:AES_GCM_16-256",
    }
}

fn aes256_sha256_group14() -> Suite {
    Suite {
        offers: suite_aes256_sha256_group14(),
        ike: "aes256-sha256-modp2048",
        esp: "aes256-sha256-modp2048",
        ike_report: "AES_CBC-256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048",
        esp_report: "TUNNEL-in-UDP, ESP:AES_CBC-256/HMAC_SHA2_256_128",
    }
}

/// A key longer than the hash, which IKEv1 has to draw out (RFC 2409 appendix B).
fn aes256_sha1_group14() -> Suite {
    let mut offers = aes256_sha256_group14().offers;
    offers.0.integrity = vec![Integrity::HmacSha1_96];
    offers.0.prf = vec![Prf::HmacSha1];
    offers.1.integrity = vec![Integrity::HmacSha1_96];
    Suite {
        offers,
        ike: "aes256-sha1-modp2048",
        esp: "aes256-sha1-modp2048",
        ike_report: "AES_CBC-256/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_2048",
        esp_report: "TUNNEL-in-UDP, ESP:AES_CBC-256/HMAC_SHA1_96",
    }
}

/// IKEv1 knows AES-GCM in phase 2 only.
fn ikev1_with_gcm() -> Suite {
    let gcm = aes256_gcm_ecp256();
    Suite {
        offers: (suite_aes256_sha256_group14().0, gcm.offers.1),
        esp: gcm.esp,
        esp_report: gcm.esp_report,
        ..aes256_sha256_group14()
    }
}

/// Who begins.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Initiator {
    We,
    StrongSwan,
}

#[test]
fn we_initiate_with_the_aws_default() {
    let test = "strongswan::we_initiate_with_the_aws_default";
    tunnel(test, &aws_default(), Initiator::We);
}

#[test]
fn we_initiate_with_aes_gcm() {
    let test = "strongswan::we_initiate_with_aes_gcm";
    tunnel(test, &aes256_gcm_ecp256(), Initiator::We);
}

#[test]
fn strongswan_initiates_with_the_aws_default() {
    let test = "strongswan::strongswan_initiates_with_the_aws_default";
    tunnel(test, &aws_default(), Initiator::StrongSwan);
}

#[test]
fn strongswan_initiates_with_aes_gcm() {
    let test = "strongswan::strongswan_initiates_with_aes_gcm";
    tunnel(test, &aes256_gcm_ecp256(), Initiator::StrongSwan);
}

#[test]
fn a_wrong_psk_is_refused_by_strongswan() {
    let test = "strongswan::a_wrong_psk_is_refused_by_strongswan";
    let ours = "to: Down, reason: AuthenticationFailed";
    let theirs = ["MAC mismatched", "generating IKE_AUTH response 1 [ N(AUTH_FAILED) ]"];
    refused(test, Initiator::We, &Quarrel { ours, theirs: &theirs, ..wrong_psk() });
}

#[test]
fn a_wrong_psk_is_refused_by_us() {
    let test = "strongswan::a_wrong_psk_is_refused_by_us";
    let ours = "to: Down, reason: PskMismatch";
    let theirs = ["received AUTHENTICATION_FAILED notify error"];
    refused(test, Initiator::StrongSwan, &Quarrel { ours, theirs: &theirs, ..wrong_psk() });
}

#[test]
fn a_foreign_suite_is_refused_by_strongswan() {
    let test = "strongswan::a_foreign_suite_is_refused_by_strongswan";
    let ours = "to: Down, reason: NoProposalChosen";
    let theirs = ["received proposals unacceptable", "generating IKE_SA_INIT response 0 [ N(NO_PROP) ]"];
    refused(test, Initiator::We, &Quarrel { ours, theirs: &theirs, ..foreign_suite() });
}

/// Here our end has no session that could go down: it refuses the first message and keeps nothing of it.
#[test]
fn a_foreign_suite_is_refused_by_us() {
    let test = "strongswan::a_foreign_suite_is_refused_by_us";
    let ours = "step: IkeSaInitSent, message_id: 0, response: true, notice: Some(NoProposalChosen)";
    let theirs = ["received NO_PROPOSAL_CHOSEN notify error"];
    refused(test, Initiator::StrongSwan, &Quarrel { ours, theirs: &theirs, ..foreign_suite() });
}

/// Ends that cannot agree, and what their logs say of it.
struct Quarrel<'a> {
    /// What our end offers, and what strongSwan wants.
    suites: [Suite; 2],
    /// strongSwan's pre-shared key; ours is [`PSK`].
    psk: &'static str,
    ours: &'a str,
    theirs: &'a [&'a str],
}

fn wrong_psk<'a>() -> Quarrel<'a> {
    Quarrel { suites: [aws_default(), aws_default()], psk: OTHER_PSK, ours: "", theirs: &[] }
}

fn foreign_suite<'a>() -> Quarrel<'a> {
    Quarrel { suites: [aes256_gcm_ecp256(), aws_default()], psk: PSK, ours: "", theirs: &[] }
}

/// Both ends give the reason, nothing comes up, and no log has a pre-shared key in it (RFC 7296 sections 2.7 and 2.21).
fn refused(test: &str, initiator: Initiator, quarrel: &Quarrel) {
    isolated(test, || {
        let strongswan = StrongSwan::start([OUR_HOST, THEIR_HOST])?;
        let clock = Clock::start();
        let config = config(&quarrel.suites[0], IkeVersion::V2, initiator);
        let shown = format!("{config:?}");
        let (mut gateway, inbox) = Gateway::new(config, ADDRESSES, clock.now())?;
        strongswan.load(&quarrel.suites[1], IkeVersion::V2, quarrel.psk, initiator == Initiator::StrongSwan)?;
        if initiator == Initiator::We {
            gateway.handle(clock.now(), INITIATE)?;
        }
        let outcome = clock.run("our refusal", LIMIT, &mut gateway, &inbox, |g| g.log().contains(quarrel.ours));
        let outcome = outcome.and_then(|()| {
            clock.ask("strongSwan's refusal", LIMIT, &mut gateway, &inbox, || {
                expect(&strongswan.log(), quarrel.theirs)?;
                match strongswan.sas()?.trim() {
                    "" => Ok(()),
                    left => Err(format!("strongSwan has\n{left}")),
                }
            })
        });
        let (ours, theirs) = (gateway.log(), strongswan.log());
        let outcome = outcome.and_then(|()| {
            let up = ["to: Up", "is removed"].iter().find(|up| ours.contains(**up));
            let up = up.or(theirs.contains("ESTABLISHED").then_some(&"ESTABLISHED"));
            match up {
                _ if gateway.carries() => Err("our end has a CHILD_SA".to_owned()),
                Some(up) => Err(format!("{up:?} where nothing comes up")),
                None => Ok(()),
            }
        });
        outcome.map_err(|e| format!("{e}\n--- our gateway\n{ours}\n--- strongSwan\n{theirs}"))?;
        let leaks = |text: &String| [PSK, OTHER_PSK].iter().any(|psk| reveals(text, psk));
        match [ours, shown, theirs].iter().position(leaks) {
            None => Ok(()),
            Some(place) => {
                Err(format!("{} shows a pre-shared key", ["our log", "our configuration", "strongSwan's log"][place]))
            }
        }
    });
}

/// True if the text has the key in it, as it is or as a list of octets.
fn reveals(text: &str, psk: &str) -> bool {
    let octets = format!("{:?}", psk.as_bytes());
    let hex: String = psk.bytes().map(|octet| format!("{octet:02x}")).collect();
    [psk, &octets, &hex].iter().any(|secret| text.contains(*secret))
}

#[test]
fn we_initiate_ikev1_with_the_aws_default() {
    let test = "strongswan::we_initiate_ikev1_with_the_aws_default";
    ikev1(test, &aws_default(), Initiator::We);
}

#[test]
fn we_initiate_ikev1_with_aes256_and_group_14() {
    let test = "strongswan::we_initiate_ikev1_with_aes256_and_group_14";
    ikev1(test, &aes256_sha256_group14(), Initiator::We);
}

#[test]
fn strongswan_initiates_ikev1_with_the_aws_default() {
    let test = "strongswan::strongswan_initiates_ikev1_with_the_aws_default";
    ikev1(test, &aws_default(), Initiator::StrongSwan);
}

#[test]
fn strongswan_initiates_ikev1_with_aes256_and_group_14() {
    let test = "strongswan::strongswan_initiates_ikev1_with_aes256_and_group_14";
    ikev1(test, &aes256_sha256_group14(), Initiator::StrongSwan);
}

#[test]
fn we_initiate_ikev1_with_a_key_longer_than_the_hash() {
    let test = "strongswan::we_initiate_ikev1_with_a_key_longer_than_the_hash";
    ikev1(test, &aes256_sha1_group14(), Initiator::We);
}

#[test]
fn strongswan_initiates_ikev1_with_aes_gcm_in_phase_2() {
    let test = "strongswan::strongswan_initiates_ikev1_with_aes_gcm_in_phase_2";
    ikev1(test, &ikev1_with_gcm(), Initiator::StrongSwan);
}

/// Our end rekeys the IKE_SA after 5 s, with strongSwan as responder; then strongSwan rekeys the CHILD_SA under it, whose keys
/// come from the new SK_d.
#[test]
fn we_rekey_the_ike_sa() {
    let suite = aes256_gcm_ecp256();
    let mut config = config(&suite, IkeVersion::V2, Initiator::We);
    config.ike_lifetime = Duration::from_secs(50);
    config.rekey.margin = Duration::from_secs(45);
    config.rekey.fuzz_percent = 0;
    let life = |clock: &Clock, gateway: &mut Gateway, inbox: &Receiver<Arrival>, strongswan: &StrongSwan, _: &Suite| {
        clock.run("CHILD_SA", LIMIT, gateway, inbox, Gateway::carries)?;
        let first = clock.ask("strongSwan's IKE_SA", LIMIT, gateway, inbox, || strongswan.ike_sa())?;
        clock.ask("our IKE_SA", LIMIT, gateway, inbox, || match strongswan.ike_sa()? {
            // The star is on strongSwan's own SPI.
            ours if ours != first && ours.contains("_r*") => Ok(()),
            same => Err(format!("still {same}")),
        })?;
        pings(clock, gateway, inbox, PINGS / 10)?;
        rekey_child(clock, gateway, inbox, strongswan)
    };
    opposite("strongswan::we_rekey_the_ike_sa", &suite, config, Initiator::We, life);
}

/// The life of a tunnel: both ends agree that it is up with this suite, pings cross, strongSwan rekeys the CHILD_SA with
/// perfect forward secrecy, then the IKE_SA, then the CHILD_SA again under the new IKE_SA, pings cross each time, and our
/// DELETE leaves strongSwan without an SA.
fn tunnel(test: &str, suite: &Suite, initiator: Initiator) {
    opposite(test, suite, config(suite, IkeVersion::V2, initiator), initiator, live);
}

/// The same with IKEv1, where the DELETE comes from either end: ours if we began.
fn ikev1(test: &str, suite: &Suite, initiator: Initiator) {
    let config = config(suite, IkeVersion::V1, initiator);
    opposite(test, suite, config, initiator, |clock, gateway, inbox, strongswan, suite| {
        live_ikev1(clock, gateway, inbox, strongswan, suite, initiator)?;
        match initiator {
            Initiator::We => close(clock, gateway, inbox, strongswan),
            Initiator::StrongSwan => {
                strongswan.swanctl("--terminate --ike vpnsim")?;
                clock.run("strongSwan's DELETE", LIMIT, gateway, inbox, |g| g.state() == State::Down && !g.carries())
            }
        }
    });
}

fn opposite(
    test: &str,
    suite: &Suite,
    config: Config,
    initiator: Initiator,
    life: impl FnOnce(&Clock, &mut Gateway, &Receiver<Arrival>, &StrongSwan, &Suite) -> Outcome,
) {
    isolated(test, || {
        let strongswan = StrongSwan::start([OUR_HOST, THEIR_HOST])?;
        let clock = Clock::start();
        let version = config.versions[0];
        let (mut gateway, inbox) = Gateway::new(config, ADDRESSES, clock.now())?;
        strongswan.load(suite, version, PSK, initiator == Initiator::StrongSwan)?;
        if initiator == Initiator::We {
            gateway.handle(clock.now(), INITIATE)?;
        }
        life(&clock, &mut gateway, &inbox, &strongswan, suite).map_err(|e| {
            let (ours, theirs) = (gateway.log(), strongswan.log());
            format!("{e}\n--- our gateway\n{ours}\n--- strongSwan\n{theirs}")
        })
    });
}

/// Our end offers this suite and nothing else.
fn config(suite: &Suite, version: IkeVersion, initiator: Initiator) -> Config {
    let (local, remote) = (Identity::Ipv4(OURS), Identity::Ipv4(THEIRS));
    let mut config = Config::customer_gateway(local, remote, PSK.as_bytes());
    config.ike_offers = vec![suite.offers.0.clone()];
    config.esp_offers = vec![suite.offers.1.clone()];
    config.versions = vec![version];
    match initiator {
        Initiator::We => config.dpd.idle = DPD_IDLE,
        Initiator::StrongSwan => config.startup = Startup::Add,
    }
    config
}

fn live(
    clock: &Clock,
    gateway: &mut Gateway,
    inbox: &Receiver<Arrival>,
    strongswan: &StrongSwan,
    suite: &Suite,
) -> Outcome {
    clock.run("CHILD_SA", LIMIT, gateway, inbox, Gateway::carries)?;
    clock.ask("strongSwan's SAs", LIMIT, gateway, inbox, || {
        let up = ["ESTABLISHED, IKEv2", "INSTALLED", suite.ike_report, suite.esp_report];
        expect(&strongswan.sas()?, &up)
    })?;
    pings(clock, gateway, inbox, PINGS)?;
    let counted = format!(" {PINGS} packets");
    let report = strongswan.sas()?;
    if report.matches(&counted).count() != 2 {
        return Err(format!("not {PINGS} packets each way:\n{report}"));
    }

    rekey_child(clock, gateway, inbox, strongswan)?;

    let before = strongswan.ike_sa()?;
    strongswan.swanctl("--rekey --ike vpnsim")?;
    clock.ask("the rekeyed IKE_SA", LIMIT, gateway, inbox, || match strongswan.ike_sa()? {
        after if after != before => Ok(()),
        same => Err(format!("still {same}")),
    })?;
    pings(clock, gateway, inbox, PINGS / 10)?;
    rekey_child(clock, gateway, inbox, strongswan)?;

    close(clock, gateway, inbox, strongswan)
}

/// strongSwan rekeys the CHILD_SA, and pings cross again.
fn rekey_child(clock: &Clock, gateway: &mut Gateway, inbox: &Receiver<Arrival>, strongswan: &StrongSwan) -> Outcome {
    let before = gateway.spi();
    strongswan.swanctl("--rekey --child net")?;
    clock.run("the rekeyed CHILD_SA", LIMIT, gateway, inbox, |g| g.carries() && g.spi() != before)?;
    clock.ask("strongSwan's one CHILD_SA", LIMIT, gateway, inbox, || {
        match strongswan.sas()?.matches("ESP:").count() {
            1 => Ok(()),
            n => Err(format!("{n} CHILD_SAs")),
        }
    })?;
    pings(clock, gateway, inbox, PINGS / 10)
}

/// Our DELETE leaves strongSwan without an SA.
fn close(clock: &Clock, gateway: &mut Gateway, inbox: &Receiver<Arrival>, strongswan: &StrongSwan) -> Outcome {
    gateway.handle(clock.now(), Input::Close)?;
    clock.run("our DELETE", LIMIT, gateway, inbox, |g| g.state() == State::Down)?;
    match strongswan.sas()? {
        none if none.trim().is_empty() => Ok(()),
        left => Err(format!("after our DELETE strongSwan has\n{left}")),
    }
}

/// The life of a tunnel of IKEv1: both ends agree that it is up with this suite, pings cross, who began asks whether the other
/// lives and is answered, strongSwan rekeys the CHILD_SA
/// with perfect forward secrecy, and pings cross again.
fn live_ikev1(
    clock: &Clock,
    gateway: &mut Gateway,
    inbox: &Receiver<Arrival>,
    strongswan: &StrongSwan,
    suite: &Suite,
    initiator: Initiator,
) -> Outcome {
    clock.run("CHILD_SA", LIMIT, gateway, inbox, Gateway::carries)?;
    clock.ask("strongSwan's SAs", LIMIT, gateway, inbox, || {
        let up = ["ESTABLISHED, IKEv1", "INSTALLED", suite.ike_report, suite.esp_report];
        expect(&strongswan.sas()?, &up)
    })?;
    pings(clock, gateway, inbox, PINGS)?;
    let counted = format!(" {PINGS} packets");
    let report = strongswan.sas()?;
    if report.matches(&counted).count() != 2 {
        return Err(format!("not {PINGS} packets each way:\n{report}"));
    }

    // Who began asks first, so that the other never has to.
    let (asks, answers) = match initiator {
        Initiator::We => ("parsed INFORMATIONAL_V1", "generating INFORMATIONAL_V1"),
        Initiator::StrongSwan => ("generating INFORMATIONAL_V1", "parsed INFORMATIONAL_V1"),
    };
    clock.ask("a liveness check and its answer", LIMIT, gateway, inbox, || {
        let log = strongswan.log();
        let says = |direction: &str, what: &str| log.lines().any(|l| l.contains(direction) && l.contains(what));
        let both = says(asks, "HASH N(DPD) ]") && says(answers, "HASH N(DPD_ACK) ]");
        if both { Ok(()) } else { Err("not yet".into()) }
    })?;

    let before = gateway.spi();
    strongswan.swanctl("--rekey --child net")?;
    clock.run("the rekeyed CHILD_SA", LIMIT, gateway, inbox, |g| g.carries() && g.spi() != before)?;
    pings(clock, gateway, inbox, PINGS / 10)
}

/// Sends `n` pings, each when the one before is answered.
fn pings(clock: &Clock, gateway: &mut Gateway, inbox: &Receiver<Arrival>, n: u16) -> Outcome {
    for _ in 0..n {
        let answered = gateway.replies();
        gateway.ping(answered)?;
        let what = format!("the answer to ping {answered}");
        clock.run(&what, LIMIT, gateway, inbox, |g| g.replies() > answered)?;
    }
    Ok(())
}

/// Only what is needed is loaded; strongSwan's own route would send the tunnel's packets into the tunnel.
const STRONGSWAN_CONF: &str = "
charon-systemd {
    load_modular = no
    load = aes sha1 sha2 hmac kdf nonce random gmp openssl gcm pem pkcs1 pkcs8 x509 kernel-libipsec kernel-netlink socket-default vici
    install_routes = no
    plugins {
        vici { socket = unix://@DIR@/vici }
        kernel-libipsec { allow_peer_ts = yes }
    }
    filelog {
        log {
            path = @DIR@/log
            default = 1
            ike = 2
            flush_line = yes
        }
    }
}
";

const SWANCTL_CONF: &str = "
connections {
    vpnsim {
        version = @VERSION@
        dpd_delay = @DPD@s
        local_addrs = @THEIRS@
        remote_addrs = @OURS@
        local_port = @THEIR_PORT@
        remote_port = @OUR_PORT@
        proposals = @IKE@
        mobike = no
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

/// A strongSwan at the other end of a wire from this process's namespace.
pub struct StrongSwan {
    _charon: Daemon,
    namespace: Namespace,
    dir: TempDir,
    /// The host behind our end, and the one behind strongSwan's.
    hosts: [Ipv4Addr; 2],
}

impl StrongSwan {
    /// Starts strongSwan, without a connection, and lays the wire.
    pub fn start(hosts: [Ipv4Addr; 2]) -> Outcome<Self> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let namespace = Namespace::new()?;
        namespace.connect(&format!("{OURS}/24"), &format!("{THEIRS}/24"))?;

        let conf = dir.path().join("strongswan.conf");
        let text = STRONGSWAN_CONF.replace("@DIR@", &dir.path().to_string_lossy());
        write(&conf, &text)?;
        let charon = unconfined("/usr/sbin/charon-systemd", dir.path())?;
        let charon = Daemon::start(
            &namespace.line(&charon.to_string_lossy()),
            &[("STRONGSWAN_CONF", &conf)],
            &dir.path().join("out"),
        )?;
        unconfined("/usr/sbin/swanctl", dir.path())?;
        let this = Self { _charon: charon, namespace, dir, hosts };
        wait_for("charon answers swanctl", || this.swanctl("--stats"))?;
        this.route()?;
        Ok(this)
    }

    /// charon insists on a route to `ipsec0` in a table of its own, which would catch the ESP packets too: that table
    /// is not consulted, and only our host is reached through the tunnel.
    fn route(&self) -> Outcome {
        let ip = |line: &str| self.namespace.run(&format!("ip {line}"));
        let [our_host, their_host] = self.hosts;
        wait_for("charon's routing rule", || ip("rule del pref 220"))?;
        ip(&format!("address add {their_host}/32 dev lo"))?;
        wait_for("charon's TUN device", || ip(&format!("route add {our_host}/32 dev ipsec0 src {their_host}")))?;
        Ok(())
    }

    /// Gives strongSwan its connection; it begins at once if `initiate`.
    fn load(&self, suite: &Suite, version: IkeVersion, psk: &str, initiate: bool) -> Outcome {
        self.load_as([OURS, THEIRS], PORT, suite, version, psk, initiate)
    }

    /// The same with identities, ours and strongSwan's, that are not the addresses, and with our port. With any but 500 it
    /// begins on port 4500, with the non-ESP marker in front of the first message already.
    pub fn load_as(
        &self,
        [ours, theirs]: [Ipv4Addr; 2],
        port: u16,
        suite: &Suite,
        version: IkeVersion,
        psk: &str,
        initiate: bool,
    ) -> Outcome {
        let text = SWANCTL_CONF
            .replace("@OURS@", &OURS.to_string())
            .replace("@THEIRS@", &THEIRS.to_string())
            .replace("@OUR_PORT@", &port.to_string())
            .replace("@THEIR_PORT@", &(if port == PORT { PORT } else { NAT_PORT }).to_string())
            .replace("@OUR_ID@", &ours.to_string())
            .replace("@THEIR_ID@", &theirs.to_string())
            .replace("@VERSION@", if version == IkeVersion::V1 { "1" } else { "2" })
            .replace("@DPD@", if initiate { "2" } else { "60" })
            .replace("@IKE@", suite.ike)
            .replace("@ESP@", suite.esp)
            .replace("@PSK@", psk)
            .replace("@START@", if initiate { "start" } else { "none" });
        let file = self.dir.path().join("swanctl.conf");
        write(&file, &text)?;
        self.swanctl(&format!("--load-all --file {}", file.display()))?;
        Ok(())
    }

    /// Where its `strongswan.conf`, its control socket `vici` and its copy of swanctl are.
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// A command that runs where strongSwan is.
    pub fn line(&self, line: &str) -> String {
        self.namespace.line(line)
    }

    /// Sends so many datagrams to the echo service (RFC 862) of the host behind our end, each when the one before has come
    /// back, within 10 s and as it was sent.
    pub fn echoes(&self, n: u32) -> Outcome {
        let host = self.hosts[0];
        let script = format!(
            "exec 3<>/dev/udp/{host}/7
            for i in $(seq {n}); do
                echo \"datagram $i\" >&3
                answer=$(timeout 10 head -n 1 <&3)
                [ \"$answer\" = \"datagram $i\" ] || {{ echo \"datagram $i: '$answer'\" >&2; exit 1; }}
            done"
        );
        run(command(&self.namespace.line("bash -c")).arg(script)).map(drop)
    }

    /// What `swanctl --list-sas` says.
    pub fn sas(&self) -> Outcome<String> {
        self.swanctl("--list-sas")
    }

    /// The SPIs of its one IKE_SA, once there is one alone.
    fn ike_sa(&self) -> Outcome<String> {
        let report = self.sas()?;
        let lines: Vec<&str> = report.lines().filter(|line| line.contains(", IKEv2, ")).collect();
        match lines[..] {
            [line] if line.contains("ESTABLISHED") => Ok(line.split(", IKEv2, ").last().unwrap_or_default().to_owned()),
            _ => Err(format!("not one IKE_SA that is established:\n{report}")),
        }
    }

    /// strongSwan's log, for the message of a failure.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Runs swanctl, whose control socket is reached from any namespace.
    pub fn swanctl(&self, arguments: &str) -> Outcome<String> {
        let dir = self.dir.path().display();
        run_line(&format!("{dir}/swanctl {arguments} --uri unix://{dir}/vici"))
    }
}

/// A copy of a program: where AppArmor runs, Debian's profiles go by path and would keep it to files of the system.
fn unconfined(program: &str, dir: &Path) -> Outcome<PathBuf> {
    let source = Path::new(program);
    let copy = dir.join(source.file_name().unwrap_or_default());
    std::fs::copy(source, &copy).map_err(|e| format!("{program}: {e}"))?;
    Ok(copy)
}

fn write(file: &Path, text: &str) -> Outcome {
    std::fs::write(file, text).map_err(|e| format!("{}: {e}", file.display()))
}
