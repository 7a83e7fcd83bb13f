//! `dig` asks our name server, which answers from its zone and asks dnsmasq about another domain: messages of all three meet.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration as Wall;

use sim_core::id::Port;
use sim_core::proto::dns::{AskerConfig, Datagram, Forward, NameServer, ServerConfig, Upstream, WAITING_MAX, Zone};
use sim_core::rng::{Purpose, Rng};
use sim_core::time::Duration;
use sim_core::wire::dns::{DnsName, PORT, ResponseCode};
use tempfile::TempDir;

use crate::network::isolated;
use crate::pace::Clock;
use crate::process::{Daemon, Outcome, expect, run_line, wait_for};

const OURS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);
const DNSMASQ: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 54);
/// Where nobody answers.
const NOBODY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 55);

#[test]
fn dig_asks_us_and_we_ask_dnsmasq() {
    isolated("dns::dig_asks_us_and_we_ask_dnsmasq", || {
        let scratch = TempDir::new().map_err(|e| e.to_string())?;
        let line = format!(
            "dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --user=root --no-resolv --no-hosts --bind-interfaces \
             --listen-address={DNSMASQ} --local=/aws.example/ --host-record=db.aws.example,10.0.2.10 \
             --cname=alias.aws.example,db.aws.example"
        );
        let _dnsmasq = Daemon::start(&line, &[], &scratch.path().join("log"))?;
        wait_for("dnsmasq", || dig(DNSMASQ, "db.aws.example").and_then(|said| expect(&said, &["10.0.2.10"])))?;
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let serving = scope.spawn(|| serve(&stop));
            let judged = judge();
            stop.store(true, Ordering::Relaxed);
            let served = serving.join().map_err(|_| "our server panicked".to_owned())?;
            judged.and(served)
        })
    });
}

fn dig(server: Ipv4Addr, question: &str) -> Outcome<String> {
    run_line(&format!("dig @{server} +tries=1 +time=9 {question}"))
}

/// What `dig` makes of our answers, one question a line: what is asked, and what its report must have.
fn judge() -> Outcome {
    let told: [(&str, &[&str]); 9] = [
        ("erp.corp.example", &["status: NOERROR", "flags: qr aa rd ra;", "ANSWER: 1", "60\tIN\tA\t10.1.0.10"]),
        ("ERP.corp.EXAMPLE", &["status: NOERROR", "10.1.0.10"]),
        ("erp.corp.example AAAA", &["status: NOERROR", "ANSWER: 0"]),
        ("none.corp.example", &["status: NXDOMAIN", "ANSWER: 0"]),
        ("db.aws.example", &["status: NOERROR", "flags: qr rd ra;", "10.0.2.10"]),
        ("alias.aws.example", &["status: NOERROR", "10.0.2.10"]),
        ("none.aws.example", &["status: NXDOMAIN"]),
        ("other.example", &["status: REFUSED"]),
        ("db.lost.example", &["status: SERVFAIL"]),
    ];
    for (question, parts) in told {
        let said = dig(OURS, question)?;
        expect(&said, parts).map_err(|missing| format!("{question}: {missing}"))?;
        // So it marks what it finds odd about a message.
        let odd =
            said.lines().find(|line| line.contains("Warning") || line.contains("WARNING") && !line.contains("EDNS"));
        if let Some(odd) = odd {
            return Err(format!("{question}: {odd}\n{said}"));
        }
    }
    Ok(())
}

/// Our name server behind sockets, until it is to stop.
fn serve(stop: &AtomicBool) -> Outcome {
    let name = |text: &str| text.parse::<DnsName>().map_err(|error| error.to_string());
    let zone = Zone {
        origin: name("corp.example")?,
        records: [(name("erp.corp.example")?, vec![Ipv4Addr::new(10, 1, 0, 10)])].into(),
        ttl: 60,
    };
    let ask = |to| vec![Upstream { by: Port(0), from: OURS, to }];
    let config = ServerConfig {
        addresses: vec![OURS],
        zones: vec![zone],
        forwards: vec![
            Forward { domain: name("aws.example")?, to: ask(DNSMASQ) },
            Forward { domain: name("lost.example")?, to: ask(NOBODY) },
        ],
        asks: AskerConfig { timeout: Duration::from_secs(1), rounds: 2, sticky: true },
        otherwise: ResponseCode::Refused,
        waiting_max: WAITING_MAX,
    };
    let mut server = NameServer::new(config, Rng::stream(1, "dns", Purpose::Dns));
    let clock = Clock::start();
    let mut sockets = vec![bind(SocketAddrV4::new(OURS, PORT))?];
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        for (at, socket) in &sockets {
            // The time is up, or nobody listens where a question went.
            let Ok((octets, std::net::SocketAddr::V4(from))) = socket.recv_from(&mut buffer) else { continue };
            let datagram = Datagram { by: Port(0), from, to: *at, octets: buffer[..octets].to_vec() };
            server.handle(clock.now(), &datagram);
        }
        server.handle_timeout(clock.now());
        while let Some(datagram) = server.poll() {
            if !sockets.iter().any(|(at, _)| *at == datagram.from) {
                sockets.push(bind(datagram.from)?);
            }
            let socket = sockets.iter().find(|(at, _)| *at == datagram.from).map(|(_, socket)| socket);
            let sent = socket.map(|socket| socket.send_to(&datagram.octets, datagram.to));
            sent.transpose().map_err(|error| format!("{datagram:?}: {error}"))?;
        }
    }
    Ok(())
}

fn bind(at: SocketAddrV4) -> Outcome<(SocketAddrV4, UdpSocket)> {
    let socket = UdpSocket::bind(at).map_err(|error| format!("{at}: {error}"))?;
    socket.set_read_timeout(Some(Wall::from_millis(5))).map_err(|error| error.to_string())?;
    Ok((at, socket))
}
