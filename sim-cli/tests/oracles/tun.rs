//! Programs of this machine in the place of a simulated host, by a TUN device.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};

use crate::live::{APP, OFFICE, Program, site_configuration};
use crate::network::{Namespace, isolated};
use crate::process::{Outcome, command, expect, run_line, wait_for};
use crate::strongswan::{OURS, StrongSwan};

/// `ping` is the office: through a tunnel that is simulated at both ends it reaches the host in the VPC, hears nothing while the
/// path is silent, and is answered again. What one ping has lost is what the fault took.
#[test]
fn ping_is_a_host_of_the_scenario() {
    isolated("tun::ping_is_a_host_of_the_scenario", || {
        let expectation = r#"{"cut":DropsBetween(reason:"blackhole",link:"path-a",min:50)}"#;
        let scenario = include_str!("call.ron");
        let arguments = format!("--tun office=office0 --set expect={expectation} --duration 38s");
        let mut program = Program::with(scenario, &arguments, str::to_owned)?;
        expect(&run_line("ip -4 address show dev office0")?, &[&format!("inet {OFFICE}/24")])?;
        run_line("ip route add 10.0.0.0/16 dev office0")?;
        wait_for("an answer", || run_line(&format!("ping -n -c 1 -W 1 {APP}")))?;
        // From before the fault until after it: 25 s of pings, ten each second. It is no failure of ping's that some are lost.
        let said = command(&format!("ping -n -i 0.1 -c 250 {APP}")).output().map_err(|e| e.to_string())?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let answers = said.lines().filter(|line| line.contains("time="));
        let numbers = answers.filter_map(|line| line.split_once("icmp_seq=")?.1.split_once(' ')?.0.parse().ok());
        let numbers: Vec<u32> = numbers.collect();
        let gap = numbers.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        // Ten seconds of silence at least, and detection and a new handshake at most.
        if numbers.len() < 50 || !(80..=170).contains(&gap) {
            return Err(format!("{} answers, {gap} pings between two of them:\n{said}", numbers.len()));
        }
        // When the gateway has noticed, it says so.
        expect(&said, &["From 10.1.0.1", "Destination Net Unreachable"])?;
        // An ICMP error of the simulated gateway reaches ping.
        let refused = command("ping -n -c 1 -W 2 -t 1 10.0.1.10").output().map_err(|e| e.to_string())?;
        expect(&String::from_utf8_lossy(&refused.stdout), &["From 10.1.0.1", "Time to live exceeded"])?;
        program.end("INT").map(drop)
    });
}

/// The simulated gateway tells this machine's kernel what fits the tunnel, and the kernel heeds it: `ping` hears of it, shorter
/// packets pass, and TCP, which began with segments for 1,500 octets, sends shorter ones.
///
/// 1,438 octets: of 1,500, less 20 for the outer header, 8 for ESP's, 16 for the IV and 12 for the ICV of HMAC-SHA1-96, 1,440
/// are whole blocks, and two octets are the trailer.
#[test]
fn the_kernel_learns_what_fits_the_tunnel() {
    const OCTETS: usize = 400_000;
    isolated("tun::the_kernel_learns_what_fits_the_tunnel", || {
        let arguments = "--tun office=office0 --tun app=app0 --set faults={} --set expect={} --set probes={}";
        let mut program =
            Program::with(include_str!("call.ron"), &format!("{arguments} --duration 38s"), str::to_owned)?;
        // In one namespace the two would talk to each other directly.
        let vpc = Namespace::new()?;
        vpc.take("app0")?;
        vpc.run(&format!("ip address add {APP}/24 dev app0"))?;
        vpc.run("ip link set app0 up")?;
        vpc.run("ip route add default dev app0")?;
        run_line("ip route add 10.0.0.0/16 dev office0")?;
        wait_for("an answer", || run_line(&format!("ping -n -c 1 -W 1 {APP}")))?;

        let said = command(&format!("ping -n -c 1 -W 2 -M do -s 1472 {APP}")).output().map_err(|e| e.to_string())?;
        expect(&String::from_utf8_lossy(&said.stdout), &["From 10.1.0.1", "Frag needed and DF set (mtu = 1438)"])?;
        expect(&run_line(&format!("ip route get {APP}"))?, &["mtu 1438"])?;
        run_line(&format!("ping -n -c 1 -W 2 -M do -s 1410 {APP}"))?;
        let said = command(&format!("ping -n -c 1 -W 2 -M do -s 1411 {APP}")).output().map_err(|e| e.to_string())?;
        expect(&String::from_utf8_lossy(&said.stderr), &["message too long, mtu=1438"])?;

        // TCP has to find out by itself.
        run_line("ip route flush cache")?;
        let listener = vpc.inside(|| TcpListener::bind((APP, 8080)).map_err(|e| e.to_string()))?;
        let reader = std::thread::spawn(move || {
            let mut octets = Vec::new();
            listener.accept().and_then(|(mut from, _)| from.read_to_end(&mut octets))
        });
        let mut stream = TcpStream::connect((APP, 8080)).map_err(|e| e.to_string())?;
        stream.write_all(&vec![0x5a; OCTETS]).map_err(|e| e.to_string())?;
        stream.shutdown(Shutdown::Write).map_err(|e| e.to_string())?;
        match reader.join().map_err(|_| "the reader panicked")? {
            Ok(OCTETS) => {}
            other => return Err(format!("{other:?} of {OCTETS} octets came")),
        }
        expect(&run_line(&format!("ip route get {APP}"))?, &["mtu 1438"])?;
        program.end("INT").map(drop)
    });
}

/// A program of this machine is the host in the VPC, strongSwan is the site.
#[test]
fn a_real_site_reaches_a_real_host() {
    isolated("tun::a_real_site_reaches_a_real_host", || {
        let strongswan = StrongSwan::start([APP, OFFICE])?;
        let quiet = "--set faults.cut.enabled=false --set expect.cut.min=0";
        let arguments = format!("--listen {OURS} --tun app {quiet}");
        let mut program = Program::with(include_str!("live.ron"), &arguments, str::to_owned)?;
        let served = || -> Outcome {
            let device = run_line(&format!("ip -o -4 address show to {APP}"))?;
            let device = device.split_whitespace().nth(1).ok_or("no device has the host's address")?;
            run_line(&format!("ip route add 10.1.0.0/16 dev {device}"))?;
            let echo = UdpSocket::bind((APP, 7)).map_err(|e| e.to_string())?;
            std::thread::spawn(move || {
                let mut buffer = [0; 1_500];
                while let Ok((length, from)) = echo.recv_from(&mut buffer) {
                    let _ = echo.send_to(&buffer[..length], from);
                }
            });
            let (_customer, config) = site_configuration()?;
            strongswan.load(&config)?;
            wait_for("strongSwan's SAs", || expect(&strongswan.sas()?, &["ESTABLISHED, IKEv2", "INSTALLED"]))?;
            strongswan.echoes(50)
        };
        served().map_err(|e| format!("{e}\n--- strongSwan\n{}", strongswan.log()))?;
        program.end("INT").map(drop)
    });
}
