package nginxconf
import ("testing";"fmt";"bytes";"github.com/msupply-foundation/conforma-status/status")
func dumpOf(n int) []byte {
	var b bytes.Buffer
	b.WriteString("# configuration file /etc/nginx/nginx.conf:\nevents {}\nhttp {\ninclude /c/http.conf;\n")
	for i := range n { fmt.Fprintf(&b,"server { listen 127.0.0.1:%d; server_name x; include /c/sites/s%d.conf; location / { proxy_pass http://127.0.0.1:9000; } }\n",8000+i,i) }
	b.WriteString("}\n")
	h,_ := HTTP("/run/x.sock")
	b.WriteString("\n# configuration file /c/http.conf:\n"); b.Write(h)
	for i := range n { s:=demoSite(); s.Name=fmt.Sprintf("s%d",i); r,_:=s.Render(status.Online,"7-0badcafe"); fmt.Fprintf(&b,"\n# configuration file /c/sites/s%d.conf:\n",i); b.Write(r)}
	return b.Bytes()
}
func BenchmarkRead(b *testing.B){ for _,n:=range []int{1,20}{ d:=dumpOf(n); b.Run(fmt.Sprint(n,"-",len(d)),func(b *testing.B){ for b.Loop(){ c,err:=ReadConfig(d); if err!=nil{b.Fatal(err)}; c.Serving("/c/sites/s0.conf",Target{},nil)}})}}
