package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shellWords returns the words of a command line, of which those in quotes may have
// blanks.
func shellWords(line string) []string {
	line, _, _ = strings.Cut(line, " #")
	line, _, _ = strings.Cut(line, " < ")
	var all []string
	for _, word := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1) {
		all = append(all, strings.Trim(word, "'"))
	}
	return all
}

// TestDocumentation parses the command lines of docs/command_line.md and of the
// examples of all commands, and looks for each command on that page.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/command_line.md")
	require.NoError(t, err)
	text := string(page)
	for _, cmd := range (&caller{}).commands() {
		assert.Contains(t, text, "torchserve "+cmd.Name(), "a command that the page does not show")
		assert.NotEmpty(t, cmd.Example, cmd.Name())
		text += "\n```bash\n" + cmd.Example + "\n```\n"
	}
	text += "\n```bash\n" + examples + "\n```\n"
	lines := 0
	for _, block := range regexp.MustCompile("(?s)```bash\n(.*?)```").FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(block[1]) {
			_, line, ok := strings.Cut(line, "torchserve ")
			if !ok {
				continue
			}
			lines++
			words := shellWords(strings.NewReplacer(")", "", "\n", "").Replace(line))
			assert.NoError(t, check(words), line)
		}
	}
	assert.Greater(t, lines, 30, "not all are found any more")
}

// check parses a command line without running it.
func check(words []string) error {
	if !isSubcommand(words[0]) {
		_, err := parseLine(words)
		return err
	}
	if words[0] == "completion" { // cobra's own
		return nil
	}
	root := &cobra.Command{Use: "torchserve"}
	addCommands(root, &caller{})
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}
