//! Breaks WeChat, the disk and the clock under the desk.
