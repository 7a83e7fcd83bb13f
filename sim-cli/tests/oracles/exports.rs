//! Our exports before the programs that read them: BIRD, FRR and Libreswan check what is written for them.
//!
//! strongSwan has no such check; it loads its export in [`crate::strongswan`].

use std::path::Path;

use crate::customer::Customer;
use crate::process::{Outcome, asked_for, command, expect, run, run_line};

/// Two tunnels with BGP, one prepended; and two with static routes.
const BGP: &str = include_str!("../../../scenarios/active_passive.ron");
const STATIC: &str = include_str!("../../../scenarios/static_active_passive.ron");

fn checked(test: &str, check: impl FnOnce() -> Outcome) {
    if asked_for(test) {
        check().unwrap_or_else(|why| panic!("{why}"));
    }
}

fn both(format: &str, changes: &[&str], mut check: impl FnMut(&Customer, &Path) -> Outcome) -> Outcome {
    for text in [BGP, STATIC] {
        let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
        let customer = Customer::of(text, &changes)?;
        check(&customer, &customer.export(format, "")?)?;
    }
    Ok(())
}

/// A file that is nearly right must not pass, or the check is none.
fn spoilt(file: &Path, word: &str) -> Outcome<std::path::PathBuf> {
    let text = std::fs::read_to_string(file).map_err(|e| e.to_string())?;
    let bad = file.with_extension("bad");
    let spoilt = text.replacen(word, &format!("un{word}"), 1);
    if spoilt == text {
        return Err(format!("no {word:?} in\n{text}"));
    }
    std::fs::write(&bad, spoilt).map_err(|e| e.to_string())?;
    Ok(bad)
}

/// What a BGP session has below its timers and beside them, which no scenario above has.
const SESSION: [&str; 4] = [
    "md5_key=\"k#1;!&2\"",
    "ttl_security=2",
    "max_prefixes=(most:200,warn_at:\"80%\",then:\"60s\")",
    "graceful_restart=(notification:true)",
];

/// The customer of the BGP scenario, with [`SESSION`].
fn with_session() -> Outcome<Customer> {
    Customer::of(BGP, &SESSION.map(|setting| format!("connections.vpn.tunnels.a.customer.{setting}")))
}

#[test]
fn bird_takes_its_export() {
    checked("exports::bird_takes_its_export", || {
        both("bird", &[], |_, file| {
            run_line(&format!("bird -p -c {}", file.display()))?;
            let bad = spoilt(file, "protocol kernel")?;
            match run_line(&format!("bird -p -c {}", bad.display())) {
                Ok(_) => Err("BIRD takes anything".into()),
                Err(_) => Ok(()),
            }
        })?;
        let customer = with_session()?;
        let file = customer.export("bird", "")?;
        let text = std::fs::read_to_string(&file).map_err(|e| e.to_string())?;
        expect(&text, &["password", "multihop 2", "ttl security on", "receive limit 200", "graceful restart on"])?;
        run_line(&format!("bird -p -c {}", file.display())).map(drop)
    });
}

#[test]
fn frr_takes_its_export() {
    checked("exports::frr_takes_its_export", || {
        let check = |file: &Path| {
            let (dir, file) = (file.parent().unwrap_or(Path::new(".")).display(), file.display());
            run_line(&format!("vtysh --dryrun --config_dir {dir} --inputfile {file}"))
        };
        both("frr", &[], |_, file| {
            let said = check(file)?;
            if said.contains('%') {
                return Err(said);
            }
            match check(&spoilt(file, "ip ")?) {
                Ok(said) if !said.contains("Unknown command") => Err(format!("FRR takes anything: {said}")),
                _ => Ok(()),
            }
        })?;
        let customer = with_session()?;
        let file = customer.export("frr", "")?;
        let text = std::fs::read_to_string(&file).map_err(|e| e.to_string())?;
        expect(
            &text,
            &["password", "ttl-security hops 2", "maximum-prefix 200 80 restart 1", "graceful-restart notification"],
        )?;
        match check(&file)? {
            said if said.contains('%') => Err(said),
            _ => Ok(()),
        }
    });
}

/// Debian's Libreswan and strongSwan exclude each other, so `.ci/packages` unpacks Libreswan beside the system.
const LIBRESWAN: &str = "/usr/local/lib/vpnsim-libreswan/usr/libexec/ipsec/addconn";

#[test]
fn libreswan_takes_its_export() {
    checked("exports::libreswan_takes_its_export", || {
        for change in ["ike_versions=[\"ikev2\"]", "ike_versions=[\"ikev1\"]"] {
            let changes = ["a", "b"].map(|tunnel| format!("connections.vpn.tunnels.{tunnel}.{change}"));
            both("libreswan", &changes.each_ref().map(String::as_str), |_, file| {
                let check = |file: &Path| run_line(&format!("{LIBRESWAN} --checkconfig --config {}", file.display()));
                check(file)?;
                match check(&spoilt(file, "type=")?) {
                    Ok(_) => Err("Libreswan takes anything".into()),
                    Err(_) => Ok(()),
                }
            })?;
        }
        // Words that stand in a file only if the scenario says so.
        let words = [
            "ike_fragmentation=false",
            "reauthentication=make_before_break",
            "mobike=true",
            "extended_sequence_numbers=preferred",
            "df_bit=copy",
            "tfc_padding=500",
            "rekey_packets=1000",
            "proposals=one_by_one",
            "phase1.dh_groups=[14]",
            "phase2.dh_groups=[14]",
        ];
        let words = words.map(|word| format!("connections.vpn.tunnels.a.customer.{word}"));
        both("libreswan", &words.each_ref().map(String::as_str), |_, file| {
            let text = std::fs::read_to_string(file).map_err(|e| e.to_string())?;
            let written = ["fragmentation=no", "reauth=yes", "mobike=yes", "esn=either", "nopmtudisc=no"];
            expect(&text, &written)?;
            expect(&text, &["tfc=500", "ipsec-max-packets=1000"])?;
            run_line(&format!("{LIBRESWAN} --checkconfig --config {}", file.display())).map(drop)
        })?;
        suites()
    });
}

/// Proposals as Libreswan's own parser understands them.
fn suites() -> Outcome {
    let customer = Customer::of(BGP, &[])?;
    let text = std::fs::read_to_string(customer.export("libreswan", "--tunnel a")?).map_err(|e| e.to_string())?;
    let value = |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)).ok_or(format!("no {key}"));
    let algparse = LIBRESWAN.replace("addconn", "algparse");
    for (line, says) in [
        (
            format!("ike={}", value("ike=")?),
            "AES_CBC_128+AES_CBC_256-HMAC_SHA1+HMAC_SHA2_256+HMAC_SHA2_384+HMAC_SHA2_512-",
        ),
        (format!("ike={}", value("ike=")?), "AES_GCM_16_128+AES_GCM_16_256-"),
        (format!("esp={}", value("phase2alg=")?), "AES_GCM_16_128+AES_GCM_16_256-NONE-MODP1536+MODP2048"),
    ] {
        let said = run(command(&algparse).args(["-v2", "-pfs", &line]))?;
        expect(&said, &[says])?;
    }
    Ok(())
}
