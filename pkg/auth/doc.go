// Package auth decides who may call the server: it holds the token keys, their
// expiry and the files they live in, and guards the REST routers with them.
//
// There are three kinds of keys: inference and management, which expire, and
// API, which only renews the other two through /token and lives as long as the
// process. Open makes them and writes key_file.json, or reads the file of keys
// from outside that token_keys_file names:
//
//	            key_file.json              token_keys_file
//	content     made at random             the operator's, each key may be a list
//	file        written, removed by Close  read, watched by Run, never written
//	/token      replaces one key           409
//	broken file start and renewal fail     the start fails; later the old keys stay
//
// Life cycle: Open just before the listeners are bound, Run beside them, Close
// after them. Requests read the keys through one atomic pointer to an immutable
// ring; a mutex puts those who replace the ring in a row, and a replaced key is
// dead as soon as the new one is in the file.
//
// The guard is mounted once at the root of each router. It judges by the decoded
// path (URL.Path) as it is, and so must the router behind it: one that cleaned
// the path, or matched the escaped one, could run a route whose key nobody asked
// for.
//
// Keys, and texts that may hold one, are in no log line and in no error.
package auth
