package argparse_test

import (
	"fmt"

	"github.com/torchserve-go/torchserve/pkg/argparse"
)

func ExampleGrammar_Normalize() {
	options := argparse.Grammar{
		{Spellings: []string{"--model-name"}, Takes: argparse.One, Required: true},
		{Spellings: []string{"-f", "--force"}},
	}
	fmt.Println(options.Normalize([]string{"-f", "--model-n", "digits"}))
	fmt.Println(options.Normalize([]string{"--force"}))
	// Output:
	// [--force --model-name=digits] <nil>
	// [] the following arguments are required: --model-name
}
