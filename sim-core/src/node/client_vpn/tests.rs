//! Who is let in, and who may go where.

use std::net::Ipv4Addr;

use super::transport::{Accept, Certificate, Message};
use super::*;

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

fn endpoint(rules: &[(&str, Option<&str>)]) -> EndpointConfig {
    let rule = |(network, group): &(&str, Option<&str>)| AuthorizationRule {
        network: net(network),
        group: group.map(str::to_owned),
    };
    EndpointConfig {
        client_cidr: net("10.100.0.0/22"),
        port: 443,
        authentication: Authentication { directory: true, saml: false, certificate: Some("corp".into()), mfa: true },
        users: vec![User { name: "ana".into(), groups: vec!["dev".into()] }],
        revoked: vec!["7".into()],
        rules: rules.iter().map(rule).collect(),
        split_tunnel: true,
        ping: Duration::from_secs(10),
        dead_after: Duration::from_secs(60),
    }
}

fn hello() -> Hello {
    let certificate = Certificate { issuer: "corp".into(), serial: "1".into(), expires: Instant::NEVER };
    Hello { user: "ana".into(), password: true, mfa: true, certificate: Some(certificate) }
}

/// Page ad-group-auth-rules: five rules, of which those for 0.0.0.0/0 are asked last. "Group 3 does not have access to 10.1.0.0/16 or
/// 172.131.0.0/16, but it has access to all other networks. If you remove Rules 1 and 5, all three groups have access to all networks."
/// That groups 1 and 2 have access to their own networks "only" does not follow from the longest prefix, which page
/// cvpn-working-rules calls the rule; here they have what their rules for 0.0.0.0/0 give them.
#[test]
fn the_longest_prefix_alone_decides_who_may_go_there() {
    let five = [
        ("10.1.0.0/16", Some("1")),
        ("0.0.0.0/0", Some("1")),
        ("0.0.0.0/0", Some("2")),
        ("0.0.0.0/0", Some("3")),
        ("172.131.0.0/16", Some("2")),
    ];
    let may = |rules: &[(&str, Option<&str>)], group: &str, to: [u8; 4]| {
        endpoint(rules).authorizes(&[group.to_owned()], Ipv4Addr::from(to))
    };
    let (ten, hundred, other) = ([10, 1, 2, 3], [172, 131, 0, 9], [198, 51, 100, 1]);
    assert_eq!(["1", "2", "3"].map(|group| may(&five, group, ten)), [true, false, false]);
    assert_eq!(["1", "2", "3"].map(|group| may(&five, group, hundred)), [false, true, false]);
    assert!(may(&five, "3", other));
    for group in ["1", "2", "3"] {
        assert!([ten, hundred, other].iter().all(|to| may(&five[1..4], group, *to)));
    }
    // "The default behavior is to deny access."
    assert!(!may(&[], "1", ten) && !may(&[("10.2.0.0/16", None)], "1", ten) && may(&[("10.1.0.0/16", None)], "9", ten));
}

/// Each outcome of page client-authentication has a reason of its own.
#[test]
fn each_refusal_has_its_own_reason() {
    let (endpoint, now) = (endpoint(&[]), Instant::START + Duration::from_secs(5));
    let with = |change: fn(&mut Hello)| {
        let mut asks = hello();
        change(&mut asks);
        endpoint.admit(now, &asks)
    };
    assert_eq!(with(|_| ()), Ok(vec!["dev".to_owned()]));
    assert_eq!(with(|it| it.password = false), Err(Denied::Credentials));
    assert_eq!(with(|it| it.user = "bob".into()), Err(Denied::Credentials));
    assert_eq!(with(|it| it.mfa = false), Err(Denied::Mfa));
    assert_eq!(with(|it| it.certificate = None), Err(Denied::Certificate));
    assert_eq!(with(|it| it.certificate.as_mut().unwrap().issuer = "other".into()), Err(Denied::Certificate));
    assert_eq!(with(|it| it.certificate.as_mut().unwrap().expires = Instant::START), Err(Denied::Certificate));
    assert_eq!(with(|it| it.certificate.as_mut().unwrap().serial = "7".into()), Err(Denied::Revoked));
    let authentication = Authentication { directory: false, saml: true, certificate: None, mfa: false };
    let saml = EndpointConfig { authentication, ..endpoint.clone() };
    let nobody = Hello { password: false, ..hello() };
    assert_eq!(saml.admit(now, &nobody), Err(Denied::Saml));
    // Mutual authentication alone knows no groups.
    let authentication = Authentication { directory: false, ..endpoint.authentication.clone() };
    assert_eq!(EndpointConfig { authentication, ..endpoint }.admit(now, &nobody), Ok(Vec::new()));
}

#[test]
fn what_is_said_is_read_and_no_prefix_panics() {
    let accept = Accept {
        address: Ipv4Addr::new(10, 100, 0, 2),
        ping: Duration::from_secs(10),
        dead_after: Duration::from_secs(60),
        routes: vec![net("10.0.0.0/16"), net("0.0.0.0/0")],
    };
    let all = [
        Message::Hello(hello()),
        Message::Hello(Hello { certificate: None, mfa: false, ..hello() }),
        Message::Accept(accept),
        Message::Refuse(Denied::Mfa),
        Message::Ping,
    ];
    for message in all {
        let octets = message.emit();
        assert_eq!(Message::parse(&octets), Some(message.clone()));
        assert!((0..octets.len()).all(|length| Message::parse(&octets[..length]) != Some(message.clone())));
        for bit in 0..octets.len() * 8 {
            let mut other = octets.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            let _ = Message::parse(&other);
        }
    }
}
