//! strongSwan opposite our machines of both versions with certificates, which the program `openssl` makes for each test.

use std::net::Ipv4Addr;
use std::path::Path;

use sim_core::crypto::certificate::{Certificate, Trust};
use sim_core::crypto::signature::{PrivateKey, SignatureHash};
use sim_core::proto::ike::config::{Config, Credentials, Identity, IkeVersion, Startup, suite_aes256_sha256_group14};
use sim_core::time::Duration;
use tempfile::TempDir;

use crate::gateway::{Gateway, INITIATE};
use crate::network::isolated;
use crate::pace::Clock;
use crate::process::{Outcome, asked_for, command, expect, run, run_line};
use crate::strongswan::{OURS, StrongSwan, THEIRS, addresses};

const OUR_HOST: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const THEIR_HOST: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 1);
/// Far more than anything here takes, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(30);

const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
const P384: &str = "ec -pkeyopt ec_paramgen_curve:P-384";
const RSA: &str = "rsa:2048";
/// strongSwan as it was before RFC 7427.
const OLD: &str = "signature_authentication = no";

/// Who begins.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Initiator {
    We,
    StrongSwan,
}

/// What differs from test to test.
struct Case<'a> {
    initiator: Initiator,
    version: IkeVersion,
    /// Kinds of our key and of strongSwan's, as `openssl req -newkey` names them.
    keys: [&'a str; 2],
    /// Whether we say which hash functions we take (RFC 7427 section 4).
    rfc7427: bool,
    /// A setting of strongSwan's own.
    setting: &'a str,
    /// How far our calendar is ahead of the real one.
    ahead: Duration,
    /// Days that our certificate is valid.
    days: &'a str,
    /// The CA that we trust: "ca", which has issued both certificates, or "other".
    trusted: &'a str,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self {
            initiator: Initiator::We,
            version: IkeVersion::V2,
            keys: [P256, P384],
            rfc7427: true,
            setting: "",
            ahead: Duration::ZERO,
            days: "30",
            trusted: "ca",
        }
    }
}

#[test]
fn we_initiate_with_ecdsa() {
    let said = ["'CN=ours' with ECDSA_WITH_SHA256_DER successful", "'CN=theirs' (myself) with ECDSA_WITH_SHA384_DER"];
    comes_up("certificates::we_initiate_with_ecdsa", &Case::default(), &said);
}

#[test]
fn strongswan_initiates_with_ecdsa() {
    let case = Case { initiator: Initiator::StrongSwan, keys: [P384, P256], ..Case::default() };
    let said = ["'CN=ours' with ECDSA_WITH_SHA384_DER successful", "'CN=theirs' (myself) with ECDSA_WITH_SHA256_DER"];
    comes_up("certificates::strongswan_initiates_with_ecdsa", &case, &said);
}

#[test]
fn we_initiate_with_rsa() {
    let case = Case { keys: [RSA, RSA], ..Case::default() };
    let said = ["'CN=ours' with RSA_EMSA_PKCS1_SHA2_256 successful", "'CN=theirs' (myself) with RSA_EMSA_PKCS1_SHA2_"];
    comes_up("certificates::we_initiate_with_rsa", &case, &said);
}

/// It signs with RSASSA-PSS, and so do we then.
#[test]
fn strongswan_initiates_with_rsa_pss() {
    let case = Case { initiator: Initiator::StrongSwan, keys: [RSA, RSA], setting: "rsa_pss = yes", ..Case::default() };
    let said =
        ["'CN=ours' with RSA_EMSA_PSS_SHA2_256_SALT_32 successful", "'CN=theirs' (myself) with RSA_EMSA_PSS_SHA2_"];
    comes_up("certificates::strongswan_initiates_with_rsa_pss", &case, &said);
}

/// The methods of before RFC 7427, in both directions: nobody says which hash functions it takes.
#[test]
fn the_older_methods_with_ecdsa() {
    let case = Case { rfc7427: false, setting: OLD, ..Case::default() };
    let said = ["'CN=ours' with ECDSA-256 signature successful", "'CN=theirs' (myself) with ECDSA-384 signature"];
    comes_up("certificates::the_older_methods_with_ecdsa", &case, &said);
}

#[test]
fn the_older_method_with_rsa() {
    let case =
        Case { rfc7427: false, setting: OLD, keys: [RSA, RSA], initiator: Initiator::StrongSwan, ..Case::default() };
    let said = ["'CN=ours' with RSA signature successful", "'CN=theirs' (myself) with RSA signature"];
    comes_up("certificates::the_older_method_with_rsa", &case, &said);
}

/// Main Mode with keys of one kind: its method is negotiated for both ends (RFC 2409 section 5).
fn in_main_mode<'a>(initiator: Initiator, kind: &'a str) -> Case<'a> {
    Case { initiator, version: IkeVersion::V1, keys: [kind; 2], ..Case::default() }
}

/// A signature without the name of a hash (RFC 2409 section 5.1), in messages that IP fragments.
#[test]
fn we_initiate_main_mode_with_rsa() {
    let said = ["[ ID CERT SIG CERTREQ N(INITIAL_CONTACT) ]", "'CN=ours' with RSA_EMSA_PKCS1_NULL successful"];
    comes_up("certificates::we_initiate_main_mode_with_rsa", &in_main_mode(Initiator::We, RSA), &said);
}

#[test]
fn strongswan_initiates_main_mode_with_rsa() {
    let case = in_main_mode(Initiator::StrongSwan, RSA);
    let said = ["[ KE No CERTREQ NAT-D NAT-D ]", "'CN=ours' with RSA_EMSA_PKCS1_NULL successful"];
    comes_up("certificates::strongswan_initiates_main_mode_with_rsa", &case, &said);
}

#[test]
fn we_initiate_main_mode_with_ecdsa() {
    let said = ["'CN=ours' with ECDSA_WITH_NULL successful", "'CN=theirs' (myself) successful"];
    comes_up("certificates::we_initiate_main_mode_with_ecdsa", &in_main_mode(Initiator::We, P256), &said);
}

/// The key's curve decides on SHA-384, where phase 1 has SHA-256.
#[test]
fn strongswan_initiates_main_mode_with_ecdsa() {
    let said = ["'CN=ours' with ECDSA_WITH_NULL successful", "'CN=theirs' (myself) successful"];
    let case = in_main_mode(Initiator::StrongSwan, P384);
    comes_up("certificates::strongswan_initiates_main_mode_with_ecdsa", &case, &said);
}

#[test]
fn our_expired_certificate_is_refused_by_strongswan_in_main_mode() {
    let case = Case { days: "expired", ..in_main_mode(Initiator::We, RSA) };
    let theirs = ["subject certificate invalid", "[ HASH N(AUTH_FAILED) ]"];
    let test = "certificates::our_expired_certificate_is_refused_by_strongswan_in_main_mode";
    refused(test, &case, "to: Down, reason: AuthenticationFailed", &theirs);
}

#[test]
fn an_expired_certificate_is_refused_by_us_in_main_mode() {
    let ahead = Duration::from_secs(40 * 86_400);
    let case = Case { ahead, ..in_main_mode(Initiator::StrongSwan, RSA) };
    let theirs = ["received AUTHENTICATION_FAILED error notify"];
    let test = "certificates::an_expired_certificate_is_refused_by_us_in_main_mode";
    refused(test, &case, "to: Down, reason: CertificateExpired", &theirs);
}

#[test]
fn our_expired_certificate_is_refused_by_strongswan() {
    let case = Case { days: "expired", ..Case::default() };
    let theirs = ["subject certificate invalid", "generating IKE_AUTH response 1 [ N(AUTH_FAILED) ]"];
    let test = "certificates::our_expired_certificate_is_refused_by_strongswan";
    refused(test, &case, "to: Down, reason: AuthenticationFailed", &theirs);
}

/// Here our calendar is forty days ahead, so that strongSwan's certificate of thirty days is no longer good for us.
#[test]
fn an_expired_certificate_is_refused_by_us() {
    let ahead = Duration::from_secs(40 * 86_400);
    let case = Case { initiator: Initiator::StrongSwan, ahead, ..Case::default() };
    let theirs = ["received AUTHENTICATION_FAILED notify error"];
    let test = "certificates::an_expired_certificate_is_refused_by_us";
    refused(test, &case, "to: Down, reason: CertificateExpired", &theirs);
}

#[test]
fn a_certificate_of_an_unknown_ca_is_refused_by_us() {
    let case = Case { trusted: "other", ..Case::default() };
    let theirs = ["received cert request for unknown ca", "parsed INFORMATIONAL request 2 [ N(AUTH_FAILED) ]"];
    let test = "certificates::a_certificate_of_an_unknown_ca_is_refused_by_us";
    refused(test, &case, "to: Down, reason: CertificateUnknownCa", &theirs);
}

/// A scenario whose certificates were made by another program, simulated from end to end: AWS's RSA and the customer's ECDSA. A key
/// that is not the certificate's is a mistake in the question, and is not shown.
#[test]
fn a_scenario_takes_its_certificates_from_files() {
    if !asked_for("certificates::a_scenario_takes_its_certificates_from_files") {
        return;
    }
    let office = Office::open(&Case { keys: [P384, RSA], ..Case::default() }).unwrap();
    let at = |file: &str| format!("file:{}", office.path().join(file).display());
    let own = |key: &str, certificate: &str| {
        let (key, certificate, ca) = (at(key), at(certificate), at("ca.pem"));
        format!("authentication=Certificate(key: \"{key}\", certificate: \"{certificate}\", ca: \"{ca}\")")
    };
    let tunnel = "connections.vpn.tunnels.a";
    let begins = run_line("date -u +begins=%FT%TZ").unwrap();
    let asked = |key: &str| {
        let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/certificates.ron");
        let mut vpnsim = command(env!("CARGO_BIN_EXE_vpnsim"));
        vpnsim.args(["run", scenario, "--set", begins.trim()]);
        vpnsim.args(["--set", &format!("{tunnel}.{}", own("theirs.key", "theirs.pem"))]);
        vpnsim.args(["--set", &format!("{tunnel}.customer.{}", own(key, "ours.pem"))]);
        vpnsim.args(["--set", &format!("{tunnel}.customer.id=CN=ours")]);
        let output = vpnsim.output().unwrap();
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        (output.status.code(), text)
    };
    let (code, text) = asked("ours.key");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("All 6 expectations held."), "{text}");
    let (code, text) = asked("theirs.key");
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("belongs to another private key"), "{text}");
    let secret = office.read("theirs.key").unwrap();
    let secret = secret.lines().nth(1).unwrap();
    assert!(!text.contains(secret), "a private key is shown");
}

fn comes_up(test: &str, case: &Case, said: &[&str]) {
    opposite(test, case, |clock, gateway, inbox, strongswan| {
        clock.run("CHILD_SA", LIMIT, gateway, inbox, Gateway::carries)?;
        clock.ask("strongSwan's SAs", LIMIT, gateway, inbox, || {
            let established = match case.version {
                IkeVersion::V1 => "ESTABLISHED, IKEv1",
                IkeVersion::V2 => "ESTABLISHED, IKEv2",
            };
            expect(&strongswan.sas()?, &[established, "INSTALLED", "local  'CN=theirs'", "remote 'CN=ours'"])
        })?;
        gateway.ping(0)?;
        clock.run("the answer to a ping", LIMIT, gateway, inbox, |g| g.replies() == 1)?;
        expect(&strongswan.log(), said)
    });
}

fn refused(test: &str, case: &Case, ours: &str, theirs: &[&str]) {
    opposite(test, case, |clock, gateway, inbox, strongswan| {
        clock.run("our refusal", LIMIT, gateway, inbox, |g| g.log().contains(ours))?;
        clock.ask("strongSwan's refusal", LIMIT, gateway, inbox, || expect(&strongswan.log(), theirs))?;
        match gateway.log().contains("to: Up") || gateway.carries() {
            false => Ok(()),
            true => Err("something came up at our end".into()),
        }
    });
}

type Inbox = std::sync::mpsc::Receiver<crate::gateway::Arrival>;

fn opposite(test: &str, case: &Case, life: impl FnOnce(&Clock, &mut Gateway, &Inbox, &StrongSwan) -> Outcome) {
    isolated(test, || {
        let strongswan = StrongSwan::start([OUR_HOST, THEIR_HOST])?;
        let office = Office::open(case)?;
        let clock = Clock::start();
        let config = office.our_config(case)?;
        let shown = format!("{config:?}");
        let (mut gateway, inbox) = Gateway::new(config, addresses([OUR_HOST, THEIR_HOST]), clock.now())?;
        office.load(&strongswan, case)?;
        if case.initiator == Initiator::We {
            gateway.handle(clock.now(), INITIATE)?;
        }
        life(&clock, &mut gateway, &inbox, &strongswan)
            .map_err(|e| format!("{e}\n--- our gateway\n{}\n--- strongSwan\n{}", gateway.log(), strongswan.log()))?;
        match shown.contains("PrivateKey(Ecdsa") || shown.contains("PrivateKey(Rsa)") {
            true => Ok(()),
            false => Err(format!("our configuration shows more of its key than its kind:\n{shown}")),
        }
    });
}

/// The certificate office of one test, laid out as swanctl wants its files.
struct Office(TempDir);

impl Office {
    fn open(case: &Case) -> Outcome<Self> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let this = Self(dir);
        for folder in ["private", "x509", "x509ca", "conf"] {
            std::fs::create_dir(this.path().join(folder)).map_err(|e| e.to_string())?;
        }
        this.ca("ca")?;
        this.ca("other")?;
        this.end("ours", case.keys[0], case.days)?;
        this.end("theirs", case.keys[1], "30")?;
        let own = |from: &str, to: &str| {
            std::fs::copy(this.path().join(from), this.path().join(to)).map_err(|e| e.to_string()).map(drop)
        };
        own("theirs.key", "private/theirs.key")?;
        own("theirs.pem", "x509/theirs.pem")?;
        own("ca.pem", "x509ca/ca.pem")?;
        Ok(this)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn openssl(&self, line: &str) -> Outcome {
        run(command(&format!("openssl {line}")).current_dir(self.path())).map(drop)
    }

    fn ca(&self, name: &str) -> Outcome {
        self.openssl(&format!(
            "req -x509 -newkey {P256} -nodes -keyout {name}.key -out {name}.pem -subj /CN={name} -days 3650"
        ))
    }

    /// A certificate by "ca". One that has expired is issued for two hours ago and one hour, in UTC.
    fn end(&self, name: &str, key: &str, days: &str) -> Outcome {
        self.openssl(&format!("req -newkey {key} -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"))?;
        let text = "[ca]\ndefault_ca = own\n[own]\ndatabase = index\nnew_certs_dir = .\nserial = serial\n\
                    default_md = sha256\npolicy = any\nx509_extensions = end\nunique_subject = no\n\
                    [any]\ncommonName = supplied\n\
                    [end]\nbasicConstraints = CA:FALSE\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n";
        let write =
            |file: &str, text: &str| std::fs::write(self.path().join(file), text).map_err(|e| format!("{file}: {e}"));
        write("ca.cnf", text)?;
        write("index", "")?;
        write("serial", "01\n")?;
        let utc = |ago: &str| run(command("date -u +%y%m%d%H%M%SZ -d").arg(ago)).map(|text| text.trim().to_owned());
        let validity = match days {
            "expired" => format!("-startdate {} -enddate {}", utc("2 hours ago")?, utc("1 hour ago")?),
            days => format!("-days {days}"),
        };
        self.openssl(&format!(
            "ca -batch -notext -config ca.cnf -cert ca.pem -keyfile ca.key -in {name}.csr -out {name}.pem {validity}"
        ))
    }

    fn read(&self, file: &str) -> Outcome<String> {
        std::fs::read_to_string(self.path().join(file)).map_err(|e| format!("{file}: {e}"))
    }

    /// Our end, by its certificate.
    fn our_config(&self, case: &Case) -> Outcome<Config> {
        let certificates = |file: &str| Certificate::from_pem(&self.read(file)?).map_err(|e| format!("{file}: {e}"));
        let chain = certificates("ours.pem")?;
        let theirs = certificates("theirs.pem")?.remove(0);
        let now = run_line("date +%s")?.trim().parse().map_err(|e| format!("date: {e}"))?;
        let [local, remote] = [&chain[0], &theirs].map(|one| Identity::DistinguishedName(one.subject_der()));
        let mut config = Config::customer_gateway(local, remote, b"");
        let (ike, esp) = suite_aes256_sha256_group14();
        (config.ike_offers, config.esp_offers) = (vec![ike], vec![esp]);
        config.versions = [case.version][..].into();
        if case.initiator == Initiator::StrongSwan {
            config.startup = Startup::Add;
        }
        let trusted = format!("{}.pem", case.trusted);
        config.credentials = Some(Credentials {
            chain,
            key: PrivateKey::from_pem(&self.read("ours.key")?).map_err(|e| e.to_string())?,
            trust: Trust { authorities: certificates(&trusted)?, wants_identifiers: true },
            hashes: if case.rfc7427 { SignatureHash::OFFERED.to_vec() } else { Vec::new() },
            any_identity: false,
            began: Duration::from_secs(now) + case.ahead,
        });
        Ok(config)
    }

    /// Gives strongSwan its connection, its key and its certificates.
    fn load(&self, strongswan: &StrongSwan, case: &Case) -> Outcome {
        let home = strongswan.directory().display();
        let swanctl = |arguments: &str| {
            let dir = self.path().display();
            let line = format!("env SWANCTL_DIR={dir} {home}/swanctl {arguments} --uri unix://{home}/vici");
            run_line(&line)
        };
        if !case.setting.is_empty() {
            let file = strongswan.directory().join("strongswan.conf");
            let text = std::fs::read_to_string(&file).map_err(|e| e.to_string())?;
            let text = text.replace("load_modular = no", &format!("load_modular = no\n    {}", case.setting));
            std::fs::write(&file, text).map_err(|e| e.to_string())?;
            swanctl("--reload-settings")?;
        }
        let start = if case.initiator == Initiator::StrongSwan { "start" } else { "none" };
        let version = match case.version {
            IkeVersion::V1 => 1,
            IkeVersion::V2 => 2,
        };
        let text = format!(
            "connections {{ vpnsim {{
                version = {version}
                local_addrs = {THEIRS}
                remote_addrs = {OURS}
                proposals = aes256-sha256-modp2048
                mobike = no
                local {{ auth = pubkey
                    certs = theirs.pem
                    id = \"CN=theirs\" }}
                remote {{ auth = pubkey
                    id = \"CN=ours\" }}
                children {{ net {{
                    local_ts = 0.0.0.0/0
                    remote_ts = 0.0.0.0/0
                    esp_proposals = aes256-sha256-modp2048
                    start_action = {start}
                }} }}
            }} }}"
        );
        std::fs::write(self.path().join("swanctl.conf"), text).map_err(|e| e.to_string())?;
        swanctl("--load-all")?;
        Ok(())
    }
}
