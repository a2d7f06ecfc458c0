package config

import (
	"fmt"
	"strings"
)

// variables are those that are read without being the other name of a key.
//
//nolint:gochecknoglobals // read-only table
var variables = [][2]string{
	{"TS_CONFIG_FILE", "Properties file; beats `--ts-config`. Set to the empty text, neither a file nor a snapshot is read."},
	{"LOG_LOCATION", "Directory of the server's logs and, in `config/`, of the snapshots; default `logs`."},
	{"METRICS_LOCATION", "Directory of the metric logs; default `logs`."},
	{"TEMP", "Directory below which models are unpacked and sockets lie; default `/tmp`."},
	{"SM_TELEMETRY_LOG", "Set to anything: telemetry lines in the log."},
}

const intro = `# Configuration

<!-- Generated from the table in pkg/config by ` + "`make generate`" + `; do not edit. -->

Every key of ` + "`config.properties`" + `. Of several sources the strongest wins:

1. a variable ` + "`TS_…`" + `, if the file says ` + "`enable_envvars_config=true`" + `
2. the command line
3. one properties file: that of ` + "`TS_CONFIG_FILE`" + `, else of ` + "`--ts-config`" + `, else the newest snapshot (unless
   ` + "`--no-config-snapshots`" + ` is given), else ` + "`config.properties`" + ` in the working directory
4. the default

The file has the syntax of Java properties, in UTF-8. ` + "`$$NAME$$`" + ` in a value stands for the environment variable
` + "`NAME`" + `. Relative paths begin in the working directory. Booleans are ` + "`true`" + ` in any case; anything else is false.
What is wrong is listed at start, all of it at once, and the server ends with status 1.
`

// Reference returns docs/configuration.md.
func Reference() string {
	var b strings.Builder
	b.WriteString(intro)
	group := Group("")
	for _, k := range table {
		if k.Group != group {
			group = k.Group
			fmt.Fprintf(&b, "\n## %s\n\n| key | type | default | variable, flag | meaning |\n|---|---|---|---|---|\n", group)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.Name, cell(k.kind()), code(k.Default), k.otherNames(), cell(k.Doc))
	}
	b.WriteString("\n## Variables that are always read\n\n| variable | meaning |\n|---|---|\n")
	for _, v := range variables {
		fmt.Fprintf(&b, "| `%s` | %s |\n", v[0], v[1])
	}
	for _, k := range table {
		if k.Always() {
			fmt.Fprintf(&b, "| `%s` | `%s` |\n", k.Variable(), k.Name)
		}
	}
	return b.String()
}

// Sample returns configs/config.properties: every key at its default,
// commented out.
func Sample() string {
	var b strings.Builder
	b.WriteString("# Every key at its default. Remove the # of what you change; docs/configuration.md says more.\n" +
		"# Generated from the table in pkg/config by `make generate`; do not edit this copy.\n")
	group := Group("")
	for _, k := range table {
		if k.Group != group {
			group = k.Group
			b.WriteString("\n## " + string(group) + "\n")
		}
		fmt.Fprintf(&b, "\n# %s (%s)\n#%s=%s\n", k.Doc, k.kind(), k.Name, k.Default)
	}
	return b.String()
}

// kind is the type with its unit and its rule.
func (k Key) kind() string {
	text := string(k.Type)
	switch {
	case k.Rule.Values != nil:
		text = strings.Join(k.Rule.Values, ", ")
	case k.Unit != "":
		text += ", " + k.Unit
	}
	if k.Type != Int || k.Rule.Min <= minInt32 {
		return text
	}
	if k.Rule.Max >= maxInt32 {
		return text + fmt.Sprintf(", at least %d", k.Rule.Min)
	}
	return text + fmt.Sprintf(", %d to %d", k.Rule.Min, k.Rule.Max)
}

func (k Key) otherNames() string {
	var names []string
	for _, name := range append(k.variables(), k.Flag) {
		if name != "" {
			names = append(names, "`"+name+"`")
		}
	}
	return strings.Join(names, " ")
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + cell(text) + "`"
}
