//! A charon in a network namespace of its own, at the other end of a wire.
//!
//! It runs with strongSwan's user-space ESP (`kernel-libipsec`), because many machines have network namespaces but no kernel
//! ESP. It carries ESP in UDP only, so our machine has to find a NAT, and float to port 4500. Its connections are those of
//! our export, to the letter: what stands here is what the host needs and no export can know.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::gateway::{Addresses, STANDARD_PORTS};
use crate::network::Namespace;
use crate::process::{Daemon, Outcome, command, run, run_line, wait_for};

/// Our end of the wire.
pub const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// strongSwan's end of the wire.
pub const THEIRS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// The same by IPv6, for who asks for it ([`StrongSwan::with_ipv6`]).
pub const OURS_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// strongSwan's end.
pub const THEIRS_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// Both ends of the wire and the host behind each, ours first, with the standard ports.
pub const fn addresses([our_host, their_host]: [Ipv4Addr; 2]) -> Addresses {
    let (our_ports, their_ports) = (STANDARD_PORTS, STANDARD_PORTS);
    Addresses { local: IpAddr::V4(OURS), remote: IpAddr::V4(THEIRS), our_host, their_host, our_ports, their_ports }
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

/// A strongSwan at the other end of a wire from this process's namespace.
pub struct StrongSwan {
    charon: Daemon,
    namespace: Namespace,
    dir: TempDir,
    /// What its paths begin with, and it does not know; empty for the strongSwan of this machine.
    root: &'static str,
    /// The host behind our end, and the one behind strongSwan's.
    hosts: [Ipv4Addr; 2],
}

/// The root of strongSwan 6 (`.ci/packages`).
const SIX: &str = "/usr/local/lib/vpnsim-strongswan-6";

impl StrongSwan {
    /// Starts strongSwan, without a connection, and lays the wire.
    pub fn start(hosts: [Ipv4Addr; 2]) -> Outcome<Self> {
        Self::start_in("", hosts)
    }

    /// As [`StrongSwan::start`], but it is strongSwan 6.
    pub fn start_six(hosts: [Ipv4Addr; 2]) -> Outcome<Self> {
        Self::start_in(SIX, hosts)
    }

    /// Gives the wire addresses of IPv6 as well.
    pub fn with_ipv6(self) -> Outcome<Self> {
        // Nobody else is there who could have them.
        run_line(&format!("ip address add {OURS_V6}/64 dev wire0 nodad"))?;
        self.namespace.run(&format!("ip address add {THEIRS_V6}/64 dev wire0 nodad"))?;
        Ok(self)
    }

    fn start_in(root: &'static str, hosts: [Ipv4Addr; 2]) -> Outcome<Self> {
        let dir = tempfile::tempdir_in(format!("{root}/tmp")).map_err(|e| format!("{root}/tmp: {e}"))?;
        let namespace = Namespace::new()?;
        namespace.connect(&format!("{OURS}/24"), &format!("{THEIRS}/24"))?;

        let conf = dir.path().join("strongswan.conf");
        let text = STRONGSWAN_CONF.replace("@DIR@", &within(root, dir.path()));
        std::fs::write(&conf, text).map_err(|e| format!("{}: {e}", conf.display()))?;
        let charon = program(root, "/usr/sbin/charon-systemd", dir.path())?;
        let charon = Daemon::start(
            &namespace.line(&charon),
            &[("STRONGSWAN_CONF", Path::new(&within(root, &conf)))],
            &dir.path().join("out"),
        )?;
        program(root, "/usr/sbin/swanctl", dir.path())?;
        let this = Self { charon, namespace, dir, root, hosts };
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
        // What the host sends while charon waits for the processor.
        ip("link set dev ipsec0 txqueuelen 10000")?;
        Ok(())
    }

    /// Gives strongSwan an exported configuration, in the place of an earlier one; it begins at once if that says so.
    pub fn load(&self, config: &Path) -> Outcome {
        let copy = self.dir.path().join("swanctl.conf");
        // Who wrote it to that place already would lose it to `std::fs::copy`.
        let text = std::fs::read(config).map_err(|e| format!("{}: {e}", config.display()))?;
        std::fs::write(&copy, text).map_err(|e| format!("{}: {e}", copy.display()))?;
        self.swanctl(&format!("--load-all --clear --file {}", within(self.root, &copy))).map(drop)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.charon.kill();
    }

    /// Where its `strongswan.conf`, its control socket `vici` and its copy of swanctl are.
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// A command that runs where strongSwan is.
    pub fn line(&self, line: &str) -> String {
        self.namespace.line(line)
    }

    /// A socket of the host behind strongSwan, at this port and towards the same port of the host behind us.
    pub fn socket(&self, port: u16) -> Outcome<UdpSocket> {
        let [ours, theirs] = self.hosts;
        self.namespace.inside(move || {
            let socket = UdpSocket::bind((theirs, port)).map_err(|e| format!("UDP {theirs}:{port}: {e}"))?;
            socket.connect((ours, port)).map_err(|e| format!("UDP {ours}:{port}: {e}"))?;
            Ok(socket)
        })
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

    /// The SPIs of the youngest IKE_SA that is established. (One of IKEv1 that was replaced lives on for a while.)
    pub fn ike_sa(&self) -> Outcome<String> {
        let report = self.sas()?;
        // Such a line begins `vpn-a: #2, ESTABLISHED, IKEv2, `, with the number that strongSwan has given it.
        let of = |line: &str| {
            let (head, spis) = line.split_once(", ESTABLISHED, IKEv")?;
            Some((head.rsplit('#').next()?.parse::<u32>().ok()?, spis.to_owned()))
        };
        let youngest = report.lines().filter_map(of).max();
        youngest.map(|(_, spis)| spis).ok_or_else(|| format!("no IKE_SA is established:\n{report}"))
    }

    /// An error unless it has this many CHILD_SAs.
    pub fn children(&self, n: usize) -> Outcome<String> {
        let report = self.sas()?;
        if report.matches("ESP:").count() == n { Ok(report) } else { Err(format!("not {n} CHILD_SAs:\n{report}")) }
    }

    /// strongSwan's log, for the message of a failure.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Runs swanctl, whose control socket is reached from any namespace.
    pub fn swanctl(&self, arguments: &str) -> Outcome<String> {
        run_line(&self.swanctl_line(arguments))
    }

    /// The command line of a swanctl, for whoever must not wait for it.
    pub fn swanctl_line(&self, arguments: &str) -> String {
        let dir = within(self.root, self.dir.path());
        let swanctl = match self.root {
            "" => format!("{dir}/swanctl"),
            root => format!("chroot {root} /usr/sbin/swanctl"),
        };
        format!("{swanctl} {arguments} --uri unix://{dir}/vici")
    }
}

/// A path as who has this root knows it.
fn within(root: &str, path: &Path) -> String {
    let path = path.to_string_lossy();
    path.strip_prefix(root).unwrap_or(&path).to_owned()
}

/// How to call a program of strongSwan's.
fn program(root: &str, name: &str, dir: &Path) -> Outcome<String> {
    match root {
        "" => Ok(unconfined(name, dir)?.to_string_lossy().into_owned()),
        root => Ok(format!("chroot {root} {name}")),
    }
}

/// A copy of a program: where AppArmor runs, Debian's profiles go by path and would keep it to files of the system.
pub(super) fn unconfined(program: &str, dir: &Path) -> Outcome<PathBuf> {
    let source = Path::new(program);
    let copy = dir.join(source.file_name().unwrap_or_default());
    std::fs::copy(source, &copy).map_err(|e| format!("{program}: {e}"))?;
    Ok(copy)
}
