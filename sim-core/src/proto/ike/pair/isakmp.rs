//! IKEv1 as an observer with the key log sees it: the IVs chain, so it has to have seen what came before.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use crate::crypto::cbc;
use crate::proto::ike::IsakmpKeyLog;
use crate::wire::ike::HEADER_LEN;
use crate::wire::ike::v1::{Header, Message, Payload, Proposal, parse_chain};

#[derive(Clone, Default)]
pub struct Observer {
    keys: Vec<IsakmpKeyLog>,
    /// By initiator's cookie.
    sas: BTreeMap<u64, Seen>,
    /// What was seen before is what it was.
    known: BTreeMap<Vec<u8>, String>,
}

#[derive(Default, Clone)]
struct Seen {
    publics: Vec<u8>,
    chain: Option<[u8; 16]>,
    /// IV of the next message, by Message ID.
    exchanges: BTreeMap<u32, [u8; 16]>,
}

impl Observer {
    pub fn learn(&mut self, keys: IsakmpKeyLog) {
        self.keys.push(keys);
    }

    pub fn describe(&mut self, bytes: &[u8]) -> String {
        if let Some(text) = self.known.get(bytes) {
            return text.clone();
        }
        let text = self.read(bytes);
        self.known.insert(bytes.to_vec(), text.clone());
        text
    }

    fn read(&mut self, bytes: &[u8]) -> String {
        let header = Header::parse(bytes).expect("a peer sends well-formed messages");
        let seen = self.sas.entry(header.cookie_i).or_default();
        let mut text = format!("{:?}", header.exchange);
        if !header.flags.encryption {
            let message = Message::parse(bytes).expect("a peer sends well-formed messages");
            for payload in &message.payloads {
                if let Payload::Ke(public) = payload {
                    seen.publics.extend_from_slice(public);
                }
            }
            let _ = write!(text, " {}", names(&message.payloads));
            return text;
        }
        // Both ends log a key; with different pre-shared keys these differ, and one of them opens it.
        for keys in self.keys.iter().filter(|keys| keys.cookie_i == header.cookie_i) {
            let prf = keys.suite.prf;
            let block = |hash: Vec<u8>| -> [u8; 16] { hash[..16].try_into().unwrap() };
            let chain = seen.chain.unwrap_or_else(|| block(prf.hash(&[&seen.publics])));
            let iv = match (header.message_id, seen.exchanges.get(&header.message_id)) {
                (0, _) => chain,
                (_, Some(iv)) => *iv,
                (id, None) => block(prf.hash(&[&chain, &id.to_be_bytes()])),
            };
            let mut inner = bytes[HEADER_LEN..].to_vec();
            let last: [u8; 16] = *inner.last_chunk().unwrap();
            cbc::decrypt(keys.suite.protection.encryption(), &keys.encryption, &iv, &mut inner);
            let Ok((payloads, _)) = parse_chain(header.next_payload, &inner) else {
                continue;
            };
            match header.message_id {
                0 => seen.chain = Some(last),
                id => drop(seen.exchanges.insert(id, last)),
            }
            let _ = write!(text, "* {}", names(&payloads));
            return text;
        }
        // A forged key exchange has led the ends apart.
        text.push_str("* {?}");
        text
    }
}

fn names(payloads: &[Payload<'_>]) -> String {
    let name = |payload: &Payload<'_>| match payload {
        Payload::Sa(proposals) => format!("SA({})", suites(proposals)),
        Payload::Ke(_) => "KE".into(),
        Payload::Id(id) => format!("ID({:?})", id.kind),
        Payload::Hash(_) => "HASH".into(),
        Payload::Nonce(_) => "N".into(),
        Payload::Notify(n) => format!("N({:?})", n.kind),
        Payload::Delete(d) => format!("D({:?})", d.protocol),
        Payload::VendorId(_) => "VID".into(),
        Payload::NatD(_) => "NAT-D".into(),
        Payload::Cert { .. } => "CERT".into(),
        Payload::CertReq { .. } => "CERTREQ".into(),
        Payload::Sig(_) => "SIG".into(),
        Payload::Opaque { kind, .. } => format!("{kind:?}"),
    };
    let names: Vec<String> = payloads.iter().map(name).collect();
    format!("{{{}}}", names.join(", "))
}

/// How many transforms of which protocol.
fn suites(proposals: &[Proposal]) -> String {
    let suites: Vec<String> = proposals.iter().map(|p| format!("{:?} {}", p.protocol, p.transforms.len())).collect();
    suites.join(", ")
}
