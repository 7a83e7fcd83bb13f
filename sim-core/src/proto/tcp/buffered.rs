//! smoltcp's socket of one connection, and the memory of its buffers.
//!
//! A buffer is as large as the window that it offers, and of most only the first page is ever written. So both are pages of the
//! kernel's own, which take no memory before they are written, are zero without being cleared, and go back when the connection is
//! gone: an allocator clears what it gives anew, which writes all of it, and keeps the page of a buffer between others that live.

use core::sync::atomic::{AtomicUsize, Ordering};

use memmap2::MmapMut;
use self_cell::{MutBorrow, self_cell};
use smoltcp::iface::{Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::Device;
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Instant;

/// The second buffer begins at a multiple of this, so that its first octets are not in two pages.
const PAGE: usize = 4_096;

/// For how many connections of this process the kernel is asked. Linux lets a process have 65,530 ranges of pages (`vm.max_map_count`);
/// neighbours are one range, but not if what was between them is gone.
const MOST: usize = 60_000;
/// How many connections have pages now. Nothing but memory depends on it.
static MAPPED: AtomicUsize = AtomicUsize::new(0);

/// What both buffers of a connection are in.
enum Memory {
    Pages(MmapMut),
    /// Of buffers that are small, of more connections than [`MOST`], or where the kernel has no pages left to give.
    Octets(Vec<u8>),
}

impl Memory {
    fn of(octets: usize) -> Self {
        if octets > 2 * PAGE {
            if MAPPED.fetch_add(1, Ordering::Relaxed) < MOST
                && let Ok(pages) = MmapMut::map_anon(octets)
            {
                return Self::Pages(pages);
            }
            MAPPED.fetch_sub(1, Ordering::Relaxed);
        }
        Self::Octets(vec![0; octets])
    }

    fn octets(&mut self) -> &mut [u8] {
        match self {
            Self::Pages(pages) => pages,
            Self::Octets(octets) => octets,
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if matches!(self, Self::Pages(_)) {
            MAPPED.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

struct Within<'a> {
    sockets: SocketSet<'a>,
    socket: SocketHandle,
}

self_cell! {
    /// The socket, which borrows its buffers, beside them.
    pub(super) struct Buffered {
        owner: MutBorrow<Memory>,
        #[not_covariant]
        dependent: Within,
    }
}

impl Buffered {
    /// A closed socket with buffers of these sizes in octets.
    pub fn with_buffers(receive: usize, send: usize) -> Self {
        let first = receive.next_multiple_of(PAGE);
        Self::new(MutBorrow::new(Memory::of(first + send)), |memory| {
            let (before, behind) = memory.borrow_mut().octets().split_at_mut(first);
            let (receive, send) = (SocketBuffer::new(&mut before[..receive]), SocketBuffer::new(behind));
            let mut sockets = SocketSet::new(Vec::with_capacity(1));
            let socket = sockets.add(Socket::new(receive, send));
            Within { sockets, socket }
        })
    }

    /// What the socket says of itself.
    pub fn ask<R>(&self, ask: impl FnOnce(&Socket<'_>) -> R) -> R {
        self.with_dependent(|_, within| ask(within.sockets.get(within.socket)))
    }

    /// Has the socket do something.
    pub fn tell<R>(&mut self, tell: impl FnOnce(&mut Socket<'_>) -> R) -> R {
        self.with_dependent_mut(|_, within| tell(within.sockets.get_mut(within.socket)))
    }

    /// [`Interface::poll_ingress_single`].
    pub fn take_in(
        &mut self,
        iface: &mut Interface,
        now: Instant,
        device: &mut impl Device,
    ) -> PollIngressSingleResult {
        self.with_dependent_mut(|_, within| iface.poll_ingress_single(now, device, &mut within.sockets))
    }

    /// [`Interface::poll_egress`].
    pub fn let_out(&mut self, iface: &mut Interface, now: Instant, device: &mut impl Device) -> PollResult {
        self.with_dependent_mut(|_, within| iface.poll_egress(now, device, &mut within.sockets))
    }

    /// [`Interface::poll_at`].
    pub fn wake(&self, iface: &mut Interface, now: Instant) -> Option<Instant> {
        self.with_dependent(|_, within| iface.poll_at(now, &within.sockets))
    }
}
