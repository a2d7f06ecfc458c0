// Package procgrouptest is what tests need that start programs: ones that they have
// written, and a look at processes that are nobody's child here.
package procgrouptest
