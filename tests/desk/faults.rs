//! Breaks WeChat, the disk and the clock under the desk, and looks at what its people see.

mod clock;
mod crowd;
mod disk;
mod wechat;
