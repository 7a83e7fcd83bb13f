//! Client VPN: endpoints, their associations with subnets, and who connects to them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::leaf::{Address, Count, Flag, Name, Prefix, Span};
use crate::place::{At, Named};

/// A Client VPN endpoint. Its associations and its clients are nodes. Its transport is a model: UDP datagrams of our own.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ClientVpn {
    /// Out of which clients get addresses: /22 to /12, and neither in the VPC nor where a route leads.
    pub client_cidr: At<Prefix>,
    /// What it asks of who comes: "directory", "saml" or "certificate" (mutual authentication); "certificate" beside one of the others.
    pub authentication: Vec<At<Name>>,
    /// Whether it asks for a second factor beside the password; false if not given.
    pub mfa: Option<At<Flag>>,
    /// Who is known to the directory or the identity provider.
    #[serde(default)]
    pub users: Named<ClientVpnUser>,
    /// The authority of clients' certificates.
    pub client_authority: Option<At<Name>>,
    /// Serial numbers of certificates that are revoked.
    #[serde(default)]
    pub revoked: Vec<At<Name>>,
    /// Who may go where. What no rule is about is denied, and of rules only those with the longest prefix count.
    #[serde(default)]
    pub authorization_rules: Named<AuthorizationRule>,
    /// Whether clients send only what its routes lead to; false if not given, as AWS: then they send everything.
    pub split_tunnel: Option<At<Flag>>,
    /// UDP port, 443 or 1194; 443 if not given.
    pub port: Option<At<Count>>,
    /// How often a client shows that it lives. AWS publishes no figure; 10s if not given, as OpenVPN's `keepalive 10 60`.
    pub ping: Option<At<Span>>,
    /// How long a client waits for a sign of life before it looks for another association. AWS publishes no figure; 60s if not given,
    /// as OpenVPN's `keepalive 10 60`.
    pub dead_after: Option<At<Span>>,
}

/// A user.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ClientVpnUser {
    /// The groups.
    #[serde(default)]
    pub groups: Vec<At<Name>>,
}

/// An authorization rule of a Client VPN endpoint.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationRule {
    /// To where.
    pub network: At<Prefix>,
    /// For which group; for all users if not given.
    pub group: Option<At<Name>>,
}

/// An association of a Client VPN endpoint with a subnet. Each is in an availability zone of its own.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ClientVpnAssociation {
    /// The endpoint.
    pub endpoint: At<Name>,
    /// The subnet, like "vpc.a", of /27 or more.
    pub subnet: At<Name>,
    /// The address of its network interface there, from which all clients' packets come.
    pub address: At<Address>,
    /// The address to which clients send. A path leads from it to a router of the underlay.
    pub outside_address: At<Address>,
    /// Where its routes lead beside the VPC itself. Each association has routes of its own.
    #[serde(default)]
    pub routes: Vec<At<Prefix>>,
}

/// A client of Client VPN: software on a computer, which is linked to its "inside". Of a password and a second factor it says whether they
/// are right.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct VpnClient {
    /// The endpoint.
    pub endpoint: At<Name>,
    /// The user.
    pub user: Option<At<Name>>,
    /// Whether the password is right, or the identity provider asserts who it is; true if not given.
    pub password_is_right: Option<At<Flag>>,
    /// Whether the second factor is right; true if not given.
    pub mfa_is_right: Option<At<Flag>>,
    /// Its certificate; none if not given.
    pub certificate: Option<ClientCertificate>,
    /// When it connects; 1s if not given.
    pub connect_at: Option<At<Span>>,
    /// How long it waits for an answer before it tries the next association. AWS publishes no figure; 10s if not given.
    pub connect_timeout: Option<At<Span>>,
}

/// A client's certificate, as far as the model looks at it.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// Its authority.
    pub issuer: At<Name>,
    /// Its serial number.
    pub serial: At<Name>,
    /// From when on it has expired; never if not given.
    pub expires: Option<At<Span>>,
}
