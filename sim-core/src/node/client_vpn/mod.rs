//! AWS Client VPN: remote users reach a VPC over a managed endpoint (AWS Client VPN Administrator Guide).
//!
//! ```text
//!  computer ---- client ====== internet ====== association ---- subnet of the VPC ---- wherever its routes lead
//!                 |  which destinations?           |  who is it? may he? by which route? in whose name?
//! ```
//!
//! An endpoint has an association for each of some subnets, one for each availability zone; clients find them by a name that DNS resolves
//! to all of them. An association lets a user in or not ([`EndpointConfig::admit`]), gives him an address out of the endpoint's client
//! CIDR, and carries what he sends if its own route table leads there and an authorization rule lets him
//! ([`EndpointConfig::authorizes`]): by the longest prefix among rules, whose groups alone count (page cvpn-working-rules). What goes into the
//! VPC comes from the address of the association's network interface (page what-is-best-practices).
//!
//! **The transport is a model** ([`transport`]): UDP datagrams of our own in clear, where AWS speaks OpenVPN with TLS. No library gives its
//! bytes. So what is outside of it is real (datagrams, loss, NATs on the way), and what it says of handshakes, their number of round
//! trips, of overhead and of secrecy is not.
//!
//! Left out: TCP as a transport, IPv6, DNS servers that are pushed, security groups of the association, connection handlers, banners, session
//! timeouts, connection logs, clients that talk to each other, and the self-service portal.

pub mod association;
pub mod client;
pub mod transport;

use ipnet::Ipv4Net;

use crate::reason::{DropReason, Reason};
use crate::time::{Duration, Instant};
use transport::Hello;

/// What an endpoint asks of who comes (page client-authentication).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authentication {
    /// A user of a directory, with a password.
    pub directory: bool,
    /// An assertion of a SAML identity provider.
    pub saml: bool,
    /// A certificate of this authority (mutual authentication).
    pub certificate: Option<String>,
    /// A second factor beside the password.
    pub mfa: bool,
}

/// A user that the directory or the identity provider knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// The groups.
    pub groups: Vec<String>,
}

/// An authorization rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthorizationRule {
    /// To where.
    pub network: Ipv4Net,
    /// For which group; `None`: for all users.
    pub group: Option<String>,
}

/// What all associations of an endpoint have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointConfig {
    /// Out of which clients get addresses.
    pub client_cidr: Ipv4Net,
    /// The UDP port: 443 or 1194.
    pub port: u16,
    /// What it asks of who comes.
    pub authentication: Authentication,
    /// Who is known.
    pub users: Vec<User>,
    /// Serial numbers of certificates that are revoked.
    pub revoked: Vec<String>,
    /// Who may go where.
    pub rules: Vec<AuthorizationRule>,
    /// Whether clients send only what its routes lead to; all otherwise.
    pub split_tunnel: bool,
    /// How often a client shows that it lives.
    pub ping: Duration,
    /// How long it waits for a sign of life before it looks for another association.
    pub dead_after: Duration,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denied {
    /// The directory does not know the user, or not with that password.
    Credentials,
    /// The identity provider asserts nothing.
    Saml,
    /// No certificate, one of another authority, or one that is over.
    Certificate,
    /// The certificate is revoked.
    Revoked,
    /// The second factor.
    Mfa,
    /// No address is left.
    Full,
}

impl Denied {
    /// All, by their number in the transport.
    pub const ALL: [Self; 6] = [Self::Credentials, Self::Saml, Self::Certificate, Self::Revoked, Self::Mfa, Self::Full];

    /// Why the request is dropped.
    pub const fn drop(self) -> DropReason {
        match self {
            Self::Credentials => DropReason::ClientVpnCredentials,
            Self::Saml => DropReason::ClientVpnSaml,
            Self::Certificate => DropReason::ClientVpnCertificate,
            Self::Revoked => DropReason::ClientVpnRevoked,
            Self::Mfa => DropReason::ClientVpnMfa,
            Self::Full => DropReason::ClientVpnFull,
        }
    }

    /// Why the client is not connected.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Credentials => Reason::ClientVpnCredentials,
            Self::Saml => Reason::ClientVpnSaml,
            Self::Certificate => Reason::ClientVpnCertificate,
            Self::Revoked => Reason::ClientVpnRevoked,
            Self::Mfa => Reason::ClientVpnMfa,
            Self::Full => Reason::ClientVpnFull,
        }
    }
}

impl EndpointConfig {
    /// The groups of who asks to be let in. Certificates are looked at first: TLS comes before anything else.
    ///
    /// # Errors
    /// Why it is not let in.
    pub fn admit(&self, now: Instant, hello: &Hello) -> Result<Vec<String>, Denied> {
        let asks = &self.authentication;
        if let Some(authority) = &asks.certificate {
            let certificate = hello.certificate.as_ref().ok_or(Denied::Certificate)?;
            if certificate.issuer != *authority || certificate.expires <= now {
                return Err(Denied::Certificate);
            }
            if self.revoked.contains(&certificate.serial) {
                return Err(Denied::Revoked);
            }
        }
        if !asks.directory && !asks.saml {
            return Ok(Vec::new());
        }
        let user = self.users.iter().find(|user| user.name == hello.user).filter(|_| hello.password);
        let user = user.ok_or(if asks.saml { Denied::Saml } else { Denied::Credentials })?;
        if asks.mfa && !hello.mfa { Err(Denied::Mfa) } else { Ok(user.groups.clone()) }
    }

    /// Whether a rule lets somebody of these groups go to an address: one of those with the longest prefix that holds it. Those with
    /// shorter ones are not asked any more, so that a rule for one group shuts out all others.
    pub fn authorizes(&self, groups: &[String], to: std::net::Ipv4Addr) -> bool {
        let holding = || self.rules.iter().filter(|rule| rule.network.contains(&to));
        let Some(longest) = holding().map(|rule| rule.network.prefix_len()).max() else { return false };
        let lets = |rule: &AuthorizationRule| rule.group.as_ref().is_none_or(|group| groups.contains(group));
        holding().any(|rule| rule.network.prefix_len() == longest && lets(rule))
    }
}

#[cfg(test)]
mod tests;
