package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// completionLimit bounds what a shell waits for, who waits at a prompt.
const completionLimit = time.Second

// isSubcommand reports whether a first word is one of ours; 0.12 knows no words
// without a dash.
func isSubcommand(word string) bool {
	switch word {
	case "help", "completion", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd:
		return true
	}
	for _, cmd := range (&caller{}).commands() {
		if cmd.Name() == word {
			return true
		}
	}
	return false
}

// completeModel offers the models of the running server for the first word.
func (c *caller) completeModel(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	s, err := c.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
	defer cancel()
	models, err := s.api.List(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := make([]string, 0, len(models))
	for _, m := range models {
		if strings.HasPrefix(string(m.Name), begun) {
			names = append(names, string(m.Name))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeModelThenFile offers models, then files.
func (c *caller) completeModelThenFile(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return c.completeModel(cmd, args, begun)
}
