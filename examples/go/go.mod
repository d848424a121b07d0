module uptok.example/export

go 1.19
