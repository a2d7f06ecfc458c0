package main

import "github.com/torchserve-go/torchserve/pkg/argparse"

// grammar is the options of CLI §1, and --python.
//
//nolint:gochecknoglobals // read-only table
var grammar = argparse.Grammar{
	{Spellings: []string{"-h", "--help"}},
	{Spellings: []string{"-v", "--version"}, Action: true},
	{Spellings: []string{"--start"}, Action: true},
	{Spellings: []string{"--stop"}, Action: true},
	{Spellings: []string{"--ts-config"}, Takes: argparse.One},
	{Spellings: []string{"--model-store"}, Takes: argparse.One},
	{Spellings: []string{"--workflow-store"}, Takes: argparse.One},
	{Spellings: []string{"--models"}, Takes: argparse.Many},
	{Spellings: []string{"--log-config"}, Takes: argparse.One},
	{Spellings: []string{"--cpp-log-config"}, Takes: argparse.One},
	{Spellings: []string{"--foreground"}},
	{Spellings: []string{"--no-config-snapshots", "--ncs"}},
	{Spellings: []string{"--plugins-path", "--ppath"}, Takes: argparse.One},
	{Spellings: []string{"--disable-token-auth", "--dt"}},
	{Spellings: []string{"--enable-model-api"}},
	{Spellings: []string{"--python"}, Takes: argparse.One},
}
