//! Text that a peer has sent, as C has it.

use glib::translate::ToGlibPtr;

/// The bytes of a string value, `None` for NULL. webrtcbin does not look
/// whether they are UTF-8, and the bindings panic or worse when they are not.
#[allow(unsafe_code)]
pub(super) fn of(value: &glib::Value) -> Option<Vec<u8>> {
    if !value.is::<String>() {
        return None;
    }
    // SAFETY: the value holds a string, which lives as long as the value does.
    unsafe {
        let text = glib::gobject_ffi::g_value_get_string(value.to_glib_none().0);
        (!text.is_null()).then(|| std::ffi::CStr::from_ptr(text).to_bytes().to_vec())
    }
}
