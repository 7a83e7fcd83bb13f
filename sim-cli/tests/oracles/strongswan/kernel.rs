//! strongSwan with the ESP of a kernel, at the other end of a wire: ESP is a protocol of IP there, and nothing forces it into UDP.
//!
//! Where this machine's kernel has no ESP there is another one: user-mode Linux is a kernel that runs as a program, and
//! Debian's has ESP. It sees this machine's files, and its interface is a TAP device of ours. strongSwan's control socket is
//! TCP, because the two kernels have no other in common.

use std::fs::Permissions;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use super::daemon::unconfined;
use crate::network::Namespace;
use crate::process::{Daemon, Outcome, run_line, wait_for};

/// Whose ESP it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kernel {
    /// This machine's.
    Ours,
    /// User-mode Linux.
    UserMode,
}

impl Kernel {
    /// This machine's, if it has ESP, and user-mode Linux in any case.
    pub fn all() -> Outcome<Vec<Self>> {
        Ok(if has_esp()? { vec![Self::Ours, Self::UserMode] } else { vec![Self::UserMode] })
    }
}

/// Whether this machine's kernel takes an SA of ESP. A kernel without XFRM has no socket for it, and one without ESP's
/// module no such protocol.
fn has_esp() -> Outcome<bool> {
    let ends = "src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100";
    let key = "0x0102030405060708090a0b0c0d0e0f1011121314";
    let add = format!("ip xfrm state add {ends} mode tunnel aead rfc4106(gcm(aes)) {key} 128");
    Ok(Namespace::new()?.run(&add).is_ok())
}

const STRONGSWAN_CONF: &str = "
charon-systemd {
    load_modular = no
    load = aes sha1 sha2 hmac kdf nonce random gmp openssl gcm pem pkcs1 pkcs8 x509 kernel-netlink socket-default vici
    install_routes = no
    plugins {
        vici { socket = tcp://0.0.0.0:@PORT@ }
    }
    filelog {
        stdout {
            default = 1
            ike = 2
            flush_line = yes
        }
    }
}
";

/// The first process of a user-mode Linux, whose root is this machine's, to read. The kernel loads by `modprobe` what a cipher
/// needs.
const BOOT: &str = "#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mkdir -p /run/uml/lib
ln -s /usr/lib/uml/modules /run/uml/lib/modules
printf '#!/bin/sh\\nexec modprobe -d /run/uml \"$@\"\\n' > /run/uml/modprobe
chmod 755 /run/uml/modprobe
echo /run/uml/modprobe > /proc/sys/kernel/modprobe
for module in cryptomgr drbg xfrm_user esp4; do modprobe -d /run/uml $module; done
ip link set lo up
ip address add @ADDRESS@/24 dev vec0
ip link set vec0 up
ip address add @HOST@/32 dev lo
ip route add default dev vec0
STRONGSWAN_CONF=@DIR@/strongswan.conf exec @DIR@/charon-systemd
";

const VICI_PORT: u16 = 4502;

/// A strongSwan that has its outside address in reality, and a host behind it.
pub struct NativeStrongSwan {
    /// Before the namespace, which it lives in.
    _charon: Daemon,
    _namespace: Option<Namespace>,
    dir: TempDir,
    address: Ipv4Addr,
}

impl NativeStrongSwan {
    /// Starts strongSwan at `address`, without a connection, on a wire from this process's namespace, whose end is `ours`. The
    /// host behind it answers pings.
    pub fn start(kernel: Kernel, ours: Ipv4Addr, address: Ipv4Addr, host: Ipv4Addr) -> Outcome<Self> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let home = dir.path().display().to_string();
        let write = |name: &str, text: &str| {
            let file = dir.path().join(name);
            std::fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
            Ok::<_, String>(file)
        };
        let conf = write("strongswan.conf", &STRONGSWAN_CONF.replace("@PORT@", &VICI_PORT.to_string()))?;
        let program = unconfined("/usr/sbin/charon-systemd", dir.path())?;
        unconfined("/usr/sbin/swanctl", dir.path())?;
        let log = dir.path().join("log");
        let (charon, namespace) = match kernel {
            Kernel::Ours => {
                let namespace = Namespace::new()?;
                namespace.connect(&format!("{ours}/24"), &format!("{address}/24"))?;
                run_line(&format!("ip route add {address}/32 dev wire0"))?;
                namespace.run("ip route add default dev wire0")?;
                namespace.run(&format!("ip address add {host}/32 dev lo"))?;
                let line = namespace.line(&program.to_string_lossy());
                (Daemon::start(&line, &[("STRONGSWAN_CONF", &conf)], &log)?, Some(namespace))
            }
            Kernel::UserMode => {
                let text = [("@DIR@", home.clone()), ("@ADDRESS@", address.to_string()), ("@HOST@", host.to_string())]
                    .iter()
                    .fold(BOOT.to_owned(), |text, (at, it)| text.replace(at, it));
                let boot = write("boot", &text)?;
                std::fs::set_permissions(&boot, Permissions::from_mode(0o755)).map_err(|e| e.to_string())?;
                // A TAP device of a test that came before in this namespace is in the way.
                let _ = run_line("ip link del uml0");
                run_line("ip tuntap add dev uml0 mode tap")?;
                run_line(&format!("ip address add {ours}/24 dev uml0"))?;
                run_line("ip link set uml0 up")?;
                run_line(&format!("ip route add {address}/32 dev uml0"))?;
                // Its processes are in a namespace of theirs, so that none outlives the first.
                let line = format!(
                    "unshare --pid --kill-child --fork --mount-proc linux.uml mem=128M uml_dir={home} rootfstype=hostfs \
                     rootflags=/ ro init={} vec0:transport=tap,ifname=uml0 con=null con0=null,fd:1",
                    boot.display()
                );
                (Daemon::start(&line, &[], &log)?, None)
            }
        };
        let this = Self { _charon: charon, _namespace: namespace, dir, address };
        wait_for("charon answers swanctl", || this.swanctl("--stats")).map_err(|e| this.explain(e))?;
        Ok(this)
    }

    /// Gives strongSwan a configuration, in the place of an earlier one; it begins at once if that says so.
    pub fn load(&self, config: &Path) -> Outcome {
        self.swanctl(&format!("--load-all --clear --file {}", config.display())).map(drop)
    }

    /// What `swanctl --list-sas` says.
    pub fn sas(&self) -> Outcome<String> {
        self.swanctl("--list-sas")
    }

    pub fn swanctl(&self, arguments: &str) -> Outcome<String> {
        let (dir, address) = (self.dir.path().display(), self.address);
        run_line(&format!("{dir}/swanctl {arguments} --uri tcp://{address}:{VICI_PORT}"))
    }

    /// Where there is room for files.
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// A failure, with what strongSwan says of it.
    pub fn explain(&self, failure: String) -> String {
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        format!("{failure}\n--- strongSwan\n{log}")
    }
}
