// Package visible shows the control characters of texts that come from clients,
// archives and workers, so that such a text stays on its line and steers no
// terminal.
//
// A control character is one of ASCII or of Latin-1, or one of the two Unicode
// separators: whatever moves a cursor, and whatever ends a line for some program
// that reads it. Everything else stays as it is, backslashes too: what is shown
// is for people, and not meant to be read back.
//
// Everything here is pure, safe for concurrent use, and allocates nothing for a
// text without control characters.
package visible
