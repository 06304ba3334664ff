//! Makes the smallest files that WeChat takes for pictures, sound and video.

/// A picture.
pub const PNG: &[u8] = wxreply::simulator::POINT_PNG;
/// A picture; also a cover.
pub const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xd9";
/// A picture that WeChat takes, but not as a reply.
pub const GIF: &[u8] = b"GIF89a\x01\0\x01\0\0\0\0;";
/// Sound.
pub const AMR: &[u8] = b"#!AMR\n<\x91\x17\x16\xbe\x66";
/// Sound.
pub const MP3: &[u8] = b"ID3\x04\0\0\0\0\0\0\xff\xfb\x90\0";
/// A video.
pub const MP4: &[u8] = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom";

/// A file that is longer than it need be.
pub fn padded(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(length, 0);
    padded
}
