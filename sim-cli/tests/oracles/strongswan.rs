//! strongSwan opposite our IKE and ESP machines, as initiator and as responder.
//!
//! strongSwan runs with its user-space ESP (`kernel-libipsec`), because many machines have network namespaces but no
//! kernel ESP. It carries ESP in UDP only, so our machine has to find a NAT, and float to port 4500.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::network::Namespace;
use crate::process::{Daemon, Outcome, run_line, wait_for};

/// Our address on the wire.
pub const OURS: &str = "192.0.2.1";
/// strongSwan's address on the wire.
pub const THEIRS: &str = "192.0.2.2";
/// An address behind our end of the tunnel.
pub const OUR_HOST: &str = "10.1.0.1";
/// An address behind strongSwan's end of the tunnel, which answers pings.
pub const THEIR_HOST: &str = "10.2.0.1";
/// What both ends know.
pub const PSK: &str = "correct horse battery staple";

/// Only what is needed is loaded; strongSwan's own route would send the tunnel's packets into the tunnel.
const STRONGSWAN_CONF: &str = "
charon-systemd {
    load_modular = no
    load = aes sha1 sha2 hmac kdf nonce random gmp openssl gcm kernel-libipsec kernel-netlink socket-default vici
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
        version = 2
        local_addrs = @THEIRS@
        remote_addrs = @OURS@
        proposals = @IKE@
        mobike = no
        local { auth = psk
            id = @THEIRS@ }
        remote { auth = psk
            id = @OURS@ }
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
}

impl StrongSwan {
    /// Starts strongSwan with these proposals, in its own notation, without a connection. The wire is laid and both
    /// ends of the tunnel have their inner addresses.
    pub fn start() -> Outcome<Self> {
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
        let this = Self {
            _charon: charon,
            namespace,
            dir,
        };
        wait_for("charon answers swanctl", || this.swanctl("--stats"))?;
        this.route()?;
        Ok(this)
    }

    /// charon insists on a route to `ipsec0` in a table of its own, which would catch the ESP packets too: that table
    /// is not consulted, and only our host is reached through the tunnel.
    fn route(&self) -> Outcome {
        let ip = |line: &str| self.namespace.run(&format!("ip {line}"));
        wait_for("charon's routing rule", || ip("rule del pref 220"))?;
        ip(&format!("address add {THEIR_HOST}/32 dev lo"))?;
        wait_for("charon's TUN device", || {
            ip(&format!(
                "route add {OUR_HOST}/32 dev ipsec0 src {THEIR_HOST}"
            ))
        })?;
        Ok(())
    }

    /// Gives strongSwan its connection, with proposals in its own notation; it begins at once if `initiate`.
    pub fn load(&self, ike: &str, esp: &str, initiate: bool) -> Outcome {
        let text = SWANCTL_CONF
            .replace("@OURS@", OURS)
            .replace("@THEIRS@", THEIRS)
            .replace("@IKE@", ike)
            .replace("@ESP@", esp)
            .replace("@PSK@", PSK)
            .replace("@START@", if initiate { "start" } else { "none" });
        let file = self.dir.path().join("swanctl.conf");
        write(&file, &text)?;
        self.swanctl(&format!("--load-all --file {}", file.display()))?;
        Ok(())
    }

    /// What `swanctl --list-sas` says.
    pub fn sas(&self) -> Outcome<String> {
        self.swanctl("--list-sas")
    }

    /// strongSwan's log, for the message of a failure.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Runs swanctl, whose control socket is reached from any namespace.
    pub fn swanctl(&self, arguments: &str) -> Outcome<String> {
        let dir = self.dir.path().display();
        run_line(&format!(
            "{dir}/swanctl {arguments} --uri unix://{dir}/vici"
        ))
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

#[test]
fn proof() {
    crate::network::isolated("strongswan::proof", || {
        let s = StrongSwan::start()?;
        s.load("aes128-sha1-modp1024", "aes128-sha1", true)?;
        std::thread::sleep(Duration::from_secs(1));
        panic!("{}\n{}", s.sas()?, s.log());
    });
}
