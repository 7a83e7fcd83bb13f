//! The access lists of ports.

use super::Ip;
use crate::id::{Port, RecordId};
use crate::net::filter::{Rule, RuleAction};
use crate::net::icmp::Trouble;
use crate::node::Cx;
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::wire::icmp::IcmpKind;
use crate::wire::ipv6::is_ipv6;

impl Ip {
    /// Adds a rule to the access list of a port: the first of them that fits decides, and what none fits passes.
    pub fn filter(&mut self, port: Port, rule: Rule) {
        if let Some(Some(interface)) = self.interfaces.get_mut(port.index()) {
            interface.filtered = true;
            self.filters = true;
            self.access.push((port, rule));
        }
    }

    /// Whether the access list of a port lets a packet out or in. If not, the packet is dropped here, and its sender hears of it
    /// if the rule says so.
    pub(in crate::node) fn passes(&mut self, cx: &mut Cx, port: Port, packet: &Packet, outbound: bool) -> bool {
        let filtered = || self.interfaces.get(port.index()).copied().flatten().is_some_and(|it| it.filtered);
        !self.filters || !filtered() || self.judge(cx, port, packet, outbound)
    }

    #[cold]
    fn judge(&mut self, cx: &mut Cx, port: Port, packet: &Packet, outbound: bool) -> bool {
        // A list of IPv4 does not see IPv6, as on routers that have lists of both.
        if is_ipv6(packet.bytes()) {
            return true;
        }
        let mut rules = self.access.iter().filter(|(of, _)| *of == port).map(|(_, rule)| rule);
        match rules.find(|rule| rule.fits(packet, outbound)).map(|rule| rule.action) {
            Some(RuleAction::Pass) | None => return true,
            Some(RuleAction::Drop) => {}
            Some(RuleAction::Reject) => self.refuse(cx, packet, Trouble::from(IcmpKind::AdministrativelyProhibited)),
        }
        cx.drop(packet, DropReason::FilterRule, RecordId::GENESIS);
        false
    }
}
