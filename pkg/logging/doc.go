// Package logging writes the log of the server in the files, layouts and
// logger names of TorchServe 0.12 (spec/logging.md).
//
// Everybody logs with a zerolog.Logger of Logs.Logger, which knows the logger
// name and the thread text that the layout shows. Where an event goes depends
// on the name alone:
//
//	name              own file            level    layout of the own file
//	ACCESS_LOG        access_log.log      INFO     short
//	MODEL_LOG         model_log.log       all      full
//	TS_METRICS        ts_metrics.log      all      short
//	MODEL_METRICS     model_metrics.log   all      short
//	everything else   -                   INFO     -
//
// and from there, additively, to ts_log.log and the console in the full layout:
//
//	full    2024-06-10T06:13:20,123 [INFO ] main org.pytorch.serve.ModelServer - text
//	short   2024-06-10T06:13:20,123 - text
//
// Text is the message, then the fields of the event as " key=value", then, on
// lines of its own, the error of the event.
//
// What clients and archives bring along cannot forge a line or steer a terminal:
// control characters are shown as \xNN, and an event has one line. More than one
// has only what is meant to: an error, and a message that begins with a line
// feed, such as the configuration's; no line of these begins like an event. What
// workers print stays as it is, a line per event.
//
// Logging never blocks and never fails for the caller. A line is copied into a
// bounded buffer of each destination; one goroutine per destination, started
// by Run, writes what has gathered with one call and then pauses for a moment,
// so that busy times cost few system calls. What does not fit is dropped, and a
// line says how many were; a part of the buffer is kept for errors. A slow or
// blocked console does not hold up the files. Trouble with a destination is
// told once on Config.Stderr and the server lives on.
//
//	Open --> Logger, Access, Lines, Announce, at any time --> Run, until its context ends or Close
//
// A file is rolled when it is above 100 MiB or from an earlier day, to
// ts_log.10-Jun.log.gz, ts_log.10-Jun.1.log.gz and so on; it is compressed in
// the background, and a compression that was cut short is made up for at the
// next start.
//
// All methods of Logs, AccessLog and LineLog are safe for concurrent use.
package logging
