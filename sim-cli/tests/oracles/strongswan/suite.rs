//! Suites: in AWS's words, and as strongSwan reports what was negotiated.

/// What one phase allows: AWS's names of a cipher and a hash, and the number of a Diffie-Hellman group.
#[derive(Clone, Copy)]
pub struct Phase(pub &'static str, pub &'static str, pub u16);

/// What both phases allow, at both ends.
#[derive(Clone, Copy)]
pub struct Suite {
    pub phase1: Phase,
    pub phase2: Phase,
}

impl Suite {
    /// The same in both phases.
    pub const fn of(encryption: &'static str, integrity: &'static str, group: u16) -> Self {
        let phase = Phase(encryption, integrity, group);
        Self { phase1: phase, phase2: phase }
    }

    /// What AWS and a customer gateway agree on by default.
    pub const AWS_DEFAULT: Self = Self::of("AES128", "SHA1", 2);
    /// The strongest that AWS has.
    pub const AES256_GCM_ECP384: Self = Self::of("AES256-GCM-16", "SHA2-384", 20);

    /// The changes of a scenario that leave nothing else to choose. The hash of an AEAD is that of the PRF.
    pub fn changes(&self) -> Vec<String> {
        let set = |phase: &str, Phase(encryption, integrity, group): Phase| {
            let at = format!("connections.vpn.tunnels.a.{phase}");
            [
                format!("{at}.encryption=[\"{encryption}\"]"),
                format!("{at}.integrity=[\"{integrity}\"]"),
                format!("{at}.dh_groups=[{group}]"),
            ]
        };
        [set("phase1", self.phase1), set("phase2", self.phase2)].concat()
    }

    /// strongSwan's name of it for an IKE_SA.
    pub fn ike_report(&self) -> String {
        let Phase(encryption, integrity, group) = self.phase1;
        let prf = match integrity {
            "SHA1" => "PRF_HMAC_SHA1",
            "SHA2-256" => "PRF_HMAC_SHA2_256",
            "SHA2-384" => "PRF_HMAC_SHA2_384",
            _ => "PRF_HMAC_SHA2_512",
        };
        format!("{}/{prf}/{}", protection(encryption, integrity), group_name(group))
    }

    /// strongSwan's name of it for the CHILD_SA that came up with the IKE_SA. IKE_AUTH has no KE payload, Quick Mode has.
    pub fn esp_report(&self, ike: &str) -> String {
        let Phase(encryption, integrity, _) = self.phase2;
        let first = format!("TUNNEL-in-UDP, ESP:{}", protection(encryption, integrity));
        if ike == "ikev1" { self.rekeyed_report() } else { first }
    }

    /// The same after a rekey with perfect forward secrecy.
    pub fn rekeyed_report(&self) -> String {
        let Phase(encryption, integrity, group) = self.phase2;
        format!("TUNNEL-in-UDP, ESP:{}/{}", protection(encryption, integrity), group_name(group))
    }
}

fn protection(encryption: &str, integrity: &str) -> String {
    let hmac = match integrity {
        "SHA1" => "HMAC_SHA1_96",
        "SHA2-256" => "HMAC_SHA2_256_128",
        "SHA2-384" => "HMAC_SHA2_384_192",
        _ => "HMAC_SHA2_512_256",
    };
    match encryption {
        "AES128" => format!("AES_CBC-128/{hmac}"),
        "AES256" => format!("AES_CBC-256/{hmac}"),
        "AES128-GCM-16" => "AES_GCM_16-128".to_owned(),
        _ => "AES_GCM_16-256".to_owned(),
    }
}

fn group_name(group: u16) -> &'static str {
    match group {
        2 => "MODP_1024",
        5 => "MODP_1536",
        14 => "MODP_2048",
        15 => "MODP_3072",
        19 => "ECP_256",
        20 => "ECP_384",
        21 => "ECP_521",
        24 => "MODP_2048_256",
        _ => "another group",
    }
}
