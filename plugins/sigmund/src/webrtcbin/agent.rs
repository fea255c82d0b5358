//! What libnice can do and webrtcbin keeps to itself.
//!
//! webrtcbin hands TURN servers to libnice when it makes its ICE stream, and
//! frees the agent without a word to them: each allocation then stays on the
//! server for ten minutes and more. The functions below are part of libnice's
//! stable interface (`libnice.so.10`, since 0.1.16 at the latest); they are
//! looked up at run time, in the library that webrtcbin has loaded.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use glib::translate::ToGlibPtr;
use gst::prelude::*;
use sigmund::address::{IceServer, Transport};

/// All media are bundled into webrtcbin's first ICE stream, and RTCP comes in
/// the same component.
const STREAM: c_uint = 1;
const COMPONENT: c_uint = 1;

/// `NiceRelayType`
const TURN_UDP: c_int = 0;
const TURN_TCP: c_int = 1;

/// How long TURN servers may take to confirm that nothing is needed any more.
const CLOSE: Duration = Duration::from_millis(300);

type SetRelayInfo = unsafe extern "C" fn(
    *mut c_void,
    c_uint,
    c_uint,
    *const c_char,
    c_uint,
    *const c_char,
    *const c_char,
    c_int,
) -> c_int;

type Closed = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void);
type CloseAsync = unsafe extern "C" fn(*mut c_void, Option<Closed>, *mut c_void);

struct Library {
    set_relay_info: SetRelayInfo,
    close_async: CloseAsync,
}

/// The agent of one webrtcbin.
pub(super) struct Agent(glib::Object);

impl Agent {
    /// Its agent; `None` where libnice is not what makes ICE, or not found.
    pub(super) fn of(webrtcbin: &gst::Element) -> Option<Self> {
        library()?;
        let ice = webrtcbin.property::<gst::Object>("ice-agent");
        ice.find_property("agent")?;
        let agent = ice.property::<Option<glib::Object>>("agent")?;
        (agent.type_().name() == "NiceAgent").then_some(Self(agent))
    }

    /// Gathers candidates on a TURN server, also when gathering has begun. False
    /// if libnice does not take it.
    pub(super) fn add_relay(&self, server: &IceServer) -> bool {
        let both = [(Transport::Udp, TURN_UDP), (Transport::Tcp, TURN_TCP)];
        let wanted = |transport| server.transport.is_none_or(|it| it == transport);
        let kinds = both.into_iter().filter(|(it, _)| wanted(*it));
        kinds
            .map(|(_, kind)| self.add(server, kind).unwrap_or(false))
            .fold(true, |all, one| all & one)
    }

    fn add(&self, server: &IceServer, kind: c_int) -> Option<bool> {
        let library = library()?;
        let text = |it: &Option<String>| CString::new(it.clone().unwrap_or_default()).ok();
        let host = CString::new(server.host.clone()).ok()?;
        let (user, password) = (text(&server.username)?, text(&server.password)?);
        let agent: *mut glib::gobject_ffi::GObject = self.0.to_glib_none().0;
        // SAFETY: the agent lives, we hold a reference and its type was looked
        // at; the strings live until the call returns, which copies them; the
        // function locks the agent.
        #[allow(unsafe_code)]
        let taken = unsafe {
            (library.set_relay_info)(
                agent.cast(),
                STREAM,
                COMPONENT,
                host.as_ptr(),
                c_uint::from(server.port),
                user.as_ptr(),
                password.as_ptr(),
                kind,
            )
        };
        Some(taken != 0)
    }

    /// Tells the TURN servers that their allocations are not needed any more,
    /// and waits for that a little. Nothing goes through the agent afterwards.
    /// Blocks.
    pub(super) fn close(&self) {
        let Some(library) = library() else {
            return;
        };
        let (sender, closed) = mpsc::channel::<()>();
        let agent: *mut glib::gobject_ffi::GObject = self.0.to_glib_none().0;
        let data = Box::into_raw(Box::new(sender)).cast();
        // SAFETY: the agent lives, as above; it calls back exactly once, with
        // `data`, which `on_closed` takes back.
        #[allow(unsafe_code)]
        unsafe {
            (library.close_async)(agent.cast(), Some(on_closed), data);
        }
        let _ = closed.recv_timeout(CLOSE);
    }
}

/// SAFETY: `data` is the box that `close` made, and comes here once.
#[allow(unsafe_code)]
unsafe extern "C" fn on_closed(_agent: *mut c_void, _result: *mut c_void, data: *mut c_void) {
    // SAFETY: see above.
    let sender = unsafe { Box::from_raw(data.cast::<mpsc::Sender<()>>()) };
    let _ = sender.send(());
}

/// The functions; `None` where there is no such library.
fn library() -> Option<&'static Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    LIBRARY.get_or_init(load).as_ref()
}

#[cfg(target_os = "linux")]
fn load() -> Option<Library> {
    // GStreamer loads it, with webrtcbin: it holds the lock of `g_module_open`,
    // which constructors of the libraries behind libnice (libsoup) want, too. To
    // load it by ourselves, while GStreamer loads a plugin, would never end.
    gst::ElementFactory::find("webrtcbin")?.load().ok()?;
    let flags = libc::RTLD_LAZY | libc::RTLD_NOLOAD;
    // SAFETY: nothing is loaded, so nothing of it runs for the first time here.
    #[allow(unsafe_code)]
    let handle = unsafe { libc::dlopen(c"libnice.so.10".as_ptr(), flags) };
    if handle.is_null() {
        return None;
    }
    let symbol = |name: &CStr| {
        // SAFETY: the handle is good, and never closed.
        #[allow(unsafe_code)]
        let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
        (!address.is_null()).then_some(address)
    };
    let set_relay_info = symbol(c"nice_agent_set_relay_info")?;
    let close_async = symbol(c"nice_agent_close_async")?;
    // SAFETY: these are their types in libnice's headers, unchanged since they
    // are there.
    #[allow(unsafe_code)]
    unsafe {
        Some(Library {
            set_relay_info: std::mem::transmute::<*mut c_void, SetRelayInfo>(set_relay_info),
            close_async: std::mem::transmute::<*mut c_void, CloseAsync>(close_async),
        })
    }
}

#[cfg(not(target_os = "linux"))]
fn load() -> Option<Library> {
    None
}

/// Can TURN servers be added while ICE runs? Blocks at the first time: it loads
/// webrtcbin.
pub(crate) fn takes_late_relays() -> bool {
    library().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libnice_has_what_is_looked_up() {
        gst::init().unwrap();
        assert!(takes_late_relays());
    }
}
