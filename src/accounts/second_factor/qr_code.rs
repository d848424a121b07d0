//! QR codes as SVG.

use qrcode::{Color, QrCode};

/// Empty modules on each side, which scanners need (ISO/IEC 18004).
const QUIET_ZONE: usize = 4;

/// A QR code for an `svg` element: one path of unit squares, one per dark module.
pub(super) struct QrImage {
    /// Width and height of the view box, in modules.
    pub(super) size: usize,
    pub(super) path: String,
}

impl QrImage {
    /// # Panics
    /// If the text is longer than 2,331 bytes.
    pub(super) fn new(text: &str) -> Self {
        let code = QrCode::new(text).expect("the text fits into a QR code");
        let width = code.width();
        let dark = code.to_colors().into_iter().enumerate().filter(|(_, color)| *color == Color::Dark);
        let squares = dark.map(|(index, _)| {
            format!("M{} {}h1v1h-1z", index % width + QUIET_ZONE, index / width + QUIET_ZONE)
        });
        Self { size: width + 2 * QUIET_ZONE, path: squares.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dark_module_is_a_square() {
        let image = QrImage::new("x");

        assert_eq!(image.size, 29, "version 1 has 21 modules, and 4 empty ones on each side");
        assert!(image.path.starts_with("M4 4h1v1h-1zM5 4h1v1h-1z"), "the finder pattern is at the corner");
        let code = QrCode::new("x").unwrap();
        let dark = code.to_colors().into_iter().filter(|it| *it == Color::Dark).count();
        assert_eq!(image.path.matches('M').count(), dark);
    }
}
