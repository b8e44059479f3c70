#define _GNU_SOURCE
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
static double now(){struct timespec t;clock_gettime(CLOCK_MONOTONIC,&t);return t.tv_sec+t.tv_nsec*1e-9;}
int main(){
  const int R=20000000;
  __m512 a[16]; for(int i=0;i<16;i++)a[i]=_mm512_set1_ps(i*1e-9f);
  __m512 x=_mm512_set1_ps(1e-9f),y=_mm512_set1_ps(0.5f);
  for(int rep=0;rep<3;rep++){
  double t=now();
  for(int r=0;r<R/8;r++){_Pragma("clang loop unroll(full)") for(int i=0;i<16;i++)a[i]=_mm512_fmadd_ps(x,y,a[i]); asm volatile(""::"v"(a[0]),"v"(a[5]));}
  double d=now()-t; printf("fp32 %.1f GFLOP/s\n",(double)R/8*16*32/d*1e-9);
  __m512i xi=_mm512_set1_epi8(1);
  t=now();
  for(int r=0;r<R/8;r++){_Pragma("clang loop unroll(full)") for(int i=0;i<16;i++)a[i]=_mm512_dpbf16_ps(a[i],(__m512bh)xi,(__m512bh)xi); asm volatile(""::"v"(a[0]),"v"(a[5]));}
  d=now()-t; printf("bf16 %.1f GFLOP/s\n",(double)R/8*16*64/d*1e-9);
  __m512i b[16]; for(int i=0;i<16;i++)b[i]=xi;
  t=now();
  for(int r=0;r<R/8;r++){_Pragma("clang loop unroll(full)") for(int i=0;i<16;i++)b[i]=_mm512_dpbusd_epi32(b[i],xi,xi); asm volatile("":"+v"(xi));}
  d=now()-t; printf("int8 %.1f GOP/s\n",(double)R/8*16*128/d*1e-9);
  for(int i=0;i<16;i++){volatile float s=_mm512_reduce_add_ps(a[i]);volatile int q=_mm512_reduce_add_epi32(b[i]);(void)s;(void)q;}
  }
  for(size_t mb=0;mb<5;mb++){ size_t sz=(size_t[]){32<<10,512<<10,8<<20,64<<20,512<<20}[mb]; float*p=aligned_alloc(64,sz);memset(p,1,sz);
   double best=1e9; for(int rep=0;rep<5;rep++){ int n= (1<<30)/sz; if(n<1)n=1; if(n>20000)n=20000; double t=now(); __m512 s0=_mm512_setzero_ps(),s1=s0,s2=s0,s3=s0; for(int k=0;k<n;k++)for(size_t i=0;i<sz/4;i+=64){s0=_mm512_add_ps(s0,_mm512_loadu_ps(p+i));s1=_mm512_add_ps(s1,_mm512_loadu_ps(p+i+16));s2=_mm512_add_ps(s2,_mm512_loadu_ps(p+i+32));s3=_mm512_add_ps(s3,_mm512_loadu_ps(p+i+48));} double d=(now()-t)/n; if(d<best)best=d; volatile float q=_mm512_reduce_add_ps(s0+s1+s2+s3);(void)q;}
   printf("read %zu KB: %.1f GB/s\n",sz>>10,sz/best*1e-9);}
}
