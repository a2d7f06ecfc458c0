// Package registry knows which model versions are served: names lead to
// versions, versions to pools, and one version of each name is its default
// (reference: rest-management.md §4.6, §7 to §9).
//
// The first version that is registered under a name becomes its default. The
// default version cannot be removed while the name has others.
//
// The registry holds no goroutine and closes no pool: whoever removes an entry
// has stopped its pool before. It is safe for concurrent use; look-ups are
// cheap, they lie on the way of every prediction.
package registry
