package yaml11_test
import ("testing";"os";"fmt";"path/filepath"
"github.com/torchserve-go/torchserve/pkg/yaml11")
func TestZ(t *testing.T){
 fs,_:=filepath.Glob("/tmp/y/*.yaml")
 for _,f:=range fs { b,_:=os.ReadFile(f); v,err:=yaml11.Parse(b); if err!=nil { os.WriteFile(f+".err",[]byte(err.Error()),0o644); continue }; os.WriteFile(f+".json", yaml11.JSON(v),0o644) }
 fmt.Println(len(fs))
}
